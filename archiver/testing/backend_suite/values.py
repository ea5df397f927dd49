"""Whatever goes in comes out, to the last bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from archiver.model import Kind, PermanentError, SampleBatch
from archiver.model.kind import VALUE_KINDS
from archiver.model.time import ALWAYS, DAY_NS, MIN_TIME
from archiver.ports import Backend
from archiver.testing.backend_suite.base import BackendSuite, batch, exact, model, per_example, read, sample
from archiver.testing.harness import BackendHarness
from archiver.testing.rows import rows_of, unambiguous
from archiver.testing.strategies import HOSTILE_NAMES, LAST_TIME, PAYLOAD_NAN, batches

SCALARS: dict[Kind, list[Any]] = {
    Kind.FLOAT: [0.0, -0.0, math.nan, -math.nan, PAYLOAD_NAN, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1],
    Kind.INT: [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
    Kind.UINT: [0, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1],
    Kind.BOOL: [True, False],
    Kind.TEXT: [
        "",
        " ",
        "null",
        "NaN",
        "caf\u00e9",
        "cafe\u0301",
        "🌡️",
        "\U0010ffff",
        "a\"b'c\\",
        "a\r\nb",
        "x" * 70_000,
    ],
    Kind.BINARY: [b"", b"\x00", b"a\x00b", b"\xff\xfe", bytes(range(256)), b"\x00" * 70_000],
    Kind.ENUM: [0, 1, -1, 2**31 - 1, -(2**31)],
}


class ValuesContract(BackendSuite):
    """Values, status bits, times and names round-trip exactly."""

    @pytest.mark.parametrize("kind", list(SCALARS), ids=lambda kind: kind.name.lower())
    def test_scalars(self, backend: Backend, kind: Kind) -> None:
        """Every extreme of a scalar kind."""
        _round_trip(backend, kind, SCALARS[kind])

    @pytest.mark.parametrize("kind", list(SCALARS), ids=lambda kind: f"{kind.name.lower()}s")
    def test_arrays(self, backend: Backend, kind: Kind) -> None:
        """Arrays of a kind: empty, of one, of every extreme, and empty again."""
        _round_trip(backend, Kind(kind + 10), [[], SCALARS[kind][:1], SCALARS[kind], []])

    def test_a_waveform(self, backend: Backend) -> None:
        """An array of a hundred thousand items."""
        _round_trip(backend, Kind.FLOATS, [np.random.default_rng(1).normal(size=100_000).tolist()])

    def test_no_value_is_not_nan(self, backend: Backend) -> None:
        """No value, NaN, zero, empty text and an empty array are five different things."""
        rows = [
            sample(1, None),
            sample(2, math.nan),
            sample(3, 0.0),
            sample(4, "", kind=Kind.TEXT),
            sample(5, [], kind=Kind.FLOATS),
        ]
        backend.write({"g1": batch(*rows)})
        assert read(backend) == exact(rows)

    def test_only_samples_without_value(self, backend: Backend) -> None:
        """A batch that has no value column at all."""
        rows = [sample(1, None), sample(2, None, status=1 << 56)]
        backend.write({"g1": batch(*rows)})
        assert read(backend) == exact(rows)

    def test_an_element_changes_its_kind(self, backend: Backend) -> None:
        """Each sample keeps the kind it came with, in one batch and over several."""
        rows = [sample(i, _first(kind), kind=kind) for i, kind in enumerate(VALUE_KINDS)]
        backend.write({"g1": batch(*rows[::2])})
        backend.write({"g1": batch(*rows[1::2])})
        assert read(backend) == exact(rows)

    def test_every_status_bit(self, backend: Backend) -> None:
        """All 64 bits, alone and together."""
        rows = [sample(i, status=1 << i) for i in range(64)] + [sample(64, status=2**64 - 1)]
        backend.write({"g1": batch(*rows)})
        assert read(backend) == exact(rows)

    def test_times_to_the_nanosecond(self, backend: Backend) -> None:
        """Source times over all of int64, each at its own resolution."""
        step = backend.limits.resolution_ns
        base = [0, 1_700_000_000_123_456_789 // step * step, DAY_NS - step, -DAY_NS, 2**53, -(2**53)]
        times = {time + offset for time in base for offset in (-step, 0, step)}
        if step == 1:
            times |= {MIN_TIME, MIN_TIME + 1, LAST_TIME - 1, LAST_TIME}
        rows = [sample(time, received=time) for time in sorted(times)]
        backend.write({"g1": batch(*rows)})
        assert read(backend) == exact(rows)

    def test_sequences(self, backend: Backend) -> None:
        """Samples of one instant keep their order, by sequence."""
        rows = [sample(7, float(i), sequence=i) for i in (0, 2, 1, 2**31 - 1)]
        backend.write({"g1": batch(*rows)})
        assert read(backend) == exact(rows)

    def test_hostile_names(self, backend: Backend) -> None:
        """Each name is its own element, and reading it gives its samples only."""
        rows = [sample(i, float(i), element=name) for i, name in enumerate(HOSTILE_NAMES)]
        backend.write({"g1": batch(*rows)})
        assert backend.elements() == sorted(HOSTILE_NAMES)
        for row in rows:
            assert read(backend, row.element) == exact([row])
            assert rows_of(backend.last_before([row.element], 1000)) == exact([row])

    def test_nul_in_text_is_kept_or_refused(self, backend: Backend) -> None:
        """A text that some databases cannot hold is stored whole, or the write fails and stores nothing."""
        rows = [sample(1, "a\0b", kind=Kind.TEXT), sample(2)]
        try:
            backend.write({"g1": batch(*rows)})
        except PermanentError:
            assert read(backend, "a") == []
        else:
            assert read(backend) == exact(rows)

    def test_unsupported_kinds_are_refused(self, backend: Backend) -> None:
        """A kind outside the limits is an error of the caller, and stores nothing."""
        for kind in set(VALUE_KINDS) - backend.limits.kinds:
            with pytest.raises(PermanentError):
                backend.write({"g1": batch(sample(1), sample(2, _first(kind), kind=kind))})
        if not set(VALUE_KINDS) - backend.limits.kinds:
            assert read(backend, "a") == []

    def test_a_slice_of_a_batch(self, backend: Backend) -> None:
        """Columns with an offset, and a dictionary with names that have no sample."""
        rows = [sample(i, float(i), element=name) for i, name in enumerate("zyxwv")]
        whole = batch(*rows, sample(9, [1.0], kind=Kind.FLOATS), sample(10, True, kind=Kind.BOOL))
        backend.write({"g1": whole.slice(1, 2), "g2": whole.slice(3).filter(np.array([False, True, True, True]))})
        assert backend.elements() == ["a", "v", "x", "y"]
        assert read(backend) == rows_of(whole.take([1, 2, 4, 5, 6]).sorted())

    def test_a_large_batch(self, backend: Backend) -> None:
        """Hundreds of thousands of samples of hundreds of elements in one write."""
        count, names = 200_000, pa.array([f"unit{i}.temperature" for i in range(300)])
        rng = np.random.default_rng(3)
        large = SampleBatch.from_columns(
            pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 300, count), pa.int32()), names),
            rng.permutation(count) * 1_000_000_000,
            rng.normal(size=count),
            receive_time=5,
        )
        assert backend.write({"g1": large}).duplicates == 0
        stored = SampleBatch.concat(list(backend.read(names.to_pylist(), ALWAYS)))
        assert stored.to_arrow().equals(large.sorted().to_arrow())

    @per_example
    @given(batches())
    def test_anything(self, harness: BackendHarness, given_batch: SampleBatch) -> None:
        """Random samples of every kind."""
        backend, expected = harness.create(), model()
        held = np.isin(given_batch.kind_codes, [int(kind) for kind in backend.limits.kinds])
        chosen = unambiguous(given_batch.filter(held))
        for target in (backend, expected):
            target.write({"g1": chosen})
        assert read(backend) == read(expected)
        assert read(backend, versions=True) == read(expected, versions=True)
        harness.discard(backend)


def _first(kind: Kind) -> Any:
    return [SCALARS[kind.item][1]] if kind.is_list else SCALARS[kind][1]


def _round_trip(backend: Backend, kind: Kind, values: list[Any]) -> None:
    if kind not in backend.limits.kinds:
        pytest.skip(f"the backend says that it holds no {kind.column}")
    rows = [sample(i, value, kind=kind) for i, value in enumerate(values)]
    backend.write({"g1": batch(*rows)})
    assert read(backend) == exact(rows)
