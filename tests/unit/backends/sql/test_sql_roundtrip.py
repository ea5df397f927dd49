"""What goes in comes out, to the bit."""

import math

import numpy as np
import pyarrow as pa
import pytest

from archiver.backends.sql import SqlBackend
from archiver.model import Interval, Kind, PermanentError, SampleBatch
from archiver.model.time import ALWAYS, MAX_TIME, MIN_TIME

VALUES = {
    Kind.FLOAT: [1.5, -0.0, 0.0, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, math.nan, 2.0**62],
    Kind.INT: [2**63 - 1, -(2**63), 0, -1],
    Kind.UINT: [2**64 - 1, 2**63, 0],
    Kind.BOOL: [True, False],
    Kind.TEXT: ["", "a\0b", "\0", "é\U0001f600", "'; DROP TABLE x; --", "x" * 100_000],
    Kind.BINARY: [b"", b"\0\xff", b"PGCOPY\n\xff\r\n\0"],
    Kind.ENUM: [-(2**31), 2**31 - 1, 0],
    Kind.FLOATS: [[], [1.0, math.nan, -0.0], [2.0]],
    Kind.INTS: [[], [2**63 - 1, -(2**63)], [0]],
    Kind.UINTS: [[2**64 - 1]],
    Kind.BOOLS: [[True, False], [], [True]],
    Kind.TEXTS: [[], ["", "a\0b", "é"]],
    Kind.BINARIES: [[b"", b"\0"], []],
    Kind.ENUMS: [[1, -(2**31)]],
}


def everything(batches) -> list[tuple]:
    return SampleBatch.concat(list(batches)).to_pylist()


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.name)
def test_values_of_every_kind_come_back(backend: SqlBackend, kind: Kind) -> None:
    values = pa.array([*VALUES[kind], None], kind.arrow_type, from_pandas=False)
    batch = SampleBatch.from_columns("E", np.arange(len(values)), values, kind=kind, receive_time=7)
    backend.write({"g": batch})
    stored = SampleBatch.concat(list(backend.read(["E"], ALWAYS)))
    assert repr(stored.to_pylist()) == repr(batch.to_pylist())


def test_a_nan_keeps_its_payload(backend: SqlBackend) -> None:
    bits = np.array([0x7FF8000000000001, 0xFFF0DEADBEEF0001, 0x7FF0000000000001], np.uint64)
    backend.write({"g": SampleBatch.from_columns("E", [1, 2, 3], bits.view(np.float64))})
    stored = SampleBatch.concat(list(backend.read(["E"], ALWAYS)))
    np.testing.assert_array_equal(stored.values(Kind.FLOAT).to_numpy().view(np.uint64), bits)


def test_kinds_mix_in_a_batch(backend: SqlBackend) -> None:
    values = {
        Kind.FLOAT: pa.array([1.5, None, None, None, math.nan]),
        Kind.TEXT: pa.array([None, "x", None, None, None]),
        Kind.INTS: pa.array([None, None, [1, 2], None, None]),
    }
    status = np.array([0, 2**64 - 1, 2**63, 1, 2], np.uint64)
    batch = SampleBatch.from_columns("E", np.arange(5), values, status=status)
    backend.write({"g": batch})
    assert repr(everything(backend.read(["E"], ALWAYS))) == repr(batch.to_pylist())


def test_the_ends_of_time_are_kept(backend: SqlBackend) -> None:
    times = [MIN_TIME, -1, 0, MAX_TIME - 1]
    batch = SampleBatch.from_columns("E", times, [1, 2, 3, 4], receive_time=MAX_TIME)
    backend.write({"g": batch})
    assert everything(backend.read(["E"], ALWAYS)) == batch.to_pylist()
    assert [(c.first, c.last, c.rows) for c in backend.coverage()] == [(MIN_TIME, MAX_TIME - 1, 4)]


def test_text_that_is_not_utf8_is_refused(backend: SqlBackend) -> None:
    broken = pa.array([b"\xff"]).view(pa.utf8())
    with pytest.raises(PermanentError, match="not UTF-8"):
        backend.write({"g": SampleBatch.from_columns("E", [1], broken)})
    assert backend.elements() == []


NAMES = ["x'; DROP TABLE element; --", 'a"b', "%(x)s", ":name", "?", "é/ü", "\U0001f600", "\uffff", " ", "a\nb", "\\"]


def test_names_are_only_names(backend: SqlBackend) -> None:
    times = np.arange(len(NAMES))
    batch = SampleBatch.from_columns(NAMES, times, times.astype(float))
    backend.write({"g": batch})
    assert backend.elements() == sorted(NAMES)
    assert everything(backend.read(NAMES, ALWAYS)) == batch.sorted().to_pylist()
    assert everything(backend.read([NAMES[0]], Interval(0, 100))) == batch.slice(0, 1).to_pylist()
    assert backend.last_before(NAMES, 100).to_pylist() == batch.sorted().to_pylist()


GROUPS = ["g", "G", "a-b", "a_b", "x'; DROP TABLE y; --", 'q"', "g" * 100, "é", " ", "samples", "1"]


def test_group_names_are_only_names(backend: SqlBackend) -> None:
    batch = SampleBatch.from_columns("E", [1], [1.0])
    for group in GROUPS:
        backend.write({group: batch})
    assert [(c.group, c.rows) for c in backend.coverage()] == [(group, 1) for group in sorted(GROUPS)]
    for group in GROUPS:
        assert everything(backend.read(["E"], ALWAYS, groups=[group])) == batch.to_pylist()
    assert everything(backend.read(["E"], ALWAYS)) == batch.to_pylist()
