"""`.raw` as it is encoded from columns, read back by the wire format alone."""

import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from appliance_wire import chunks
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Kind
from services.appliance.events import Events
from services.appliance.formats import raw
from services.appliance.series import Series

NANOSECONDS = 10**9
INT32 = st.integers(-(2**31), 2**31 - 1)
FLOATS = st.floats(allow_nan=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = {Kind.FLOAT: FLOATS, Kind.INT: INT32, Kind.ENUM: INT32, Kind.TEXT: TEXTS}
VALUES = {
    **SCALARS,
    **{Kind(kind + 10): st.lists(values, max_size=5) for kind, values in SCALARS.items()},
    Kind.BINARY: st.binary(max_size=12),
}


def events(kind, times, values, severity=None, status=None, fields=None):
    count = len(times)
    severity = np.zeros(count, np.uint8) if severity is None else np.array(severity, np.uint8)
    status = np.zeros(count, np.uint8) if status is None else np.array(status, np.uint8)
    return Events(kind, np.array(times, np.int64), pa.array(values, kind.arrow_type), severity, status, fields or {})


def written(*parts, kind=Kind.FLOAT, meta=None):
    return b"".join(raw.write([Series("PV:é", meta or {}, iter(parts), kind, 0)]))


def instants(body):
    """Yield time (ns) and sample of each sample."""
    for info, samples in chunks(body):
        start = int(datetime(info["year"], 1, 1, tzinfo=UTC).timestamp())
        for sample in samples:
            yield (start + sample["into_year"]) * NANOSECONDS + sample["nanos"], sample


ROWS = st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 3), st.integers(0, 31)), min_size=1, max_size=30)


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.name.lower())
@given(data=st.data())
def test_every_sample_is_read_back(kind, data):
    rows = sorted(data.draw(ROWS))
    values = data.draw(st.lists(VALUES[kind], min_size=len(rows), max_size=len(rows)))
    times, severities, statuses = (list(column) for column in zip(*rows, strict=True))
    found = list(instants(written(events(kind, times, values, severities, statuses))))
    assert [time for time, _ in found] == times
    assert [sample["severity"] for _, sample in found] == severities
    assert [sample["status"] for _, sample in found] == statuses
    read = [sample["val"] for _, sample in found]
    assert read == ([list(value) for value in values] if kind is Kind.BINARY else values)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=6), st.data())
def test_fields_of_some_samples_are_read_back(texts, data):
    present = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    column = pa.array([text if here else None for text, here in zip(texts, present, strict=True)], pa.utf8())
    times = list(range(len(texts)))
    found = instants(written(events(Kind.FLOAT, times, [0.0] * len(texts), fields={"cnx": column})))
    assert [sample["fields"].get("cnx") for _, sample in found] == column.to_pylist()


def test_nan_and_infinities_are_kept():
    found = [
        s["val"] for _, s in instants(written(events(Kind.FLOAT, [0, 1, 2, 3], [math.nan, math.inf, -math.inf, -0.0])))
    ]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, 0]
    assert math.copysign(1, found[3]) == -1


def test_a_chunk_is_of_one_year_and_says_what_it_holds():
    new_year = 1767225600 * NANOSECONDS
    body = written(events(Kind.FLOAT, [new_year - 1, new_year], [1.0, 2.0]), meta={"EGU": "mm", "PREC": "3"})
    (old, before), (new, after) = chunks(body)
    assert (old["year"], new["year"]) == (2025, 2026)
    assert (before[0]["into_year"], before[0]["nanos"]) == (365 * 86400 - 1, 999_999_999)
    assert (after[0]["into_year"], after[0]["nanos"]) == (0, 0)
    assert old["name"] == "PV:é"
    assert old["meta"] == new["meta"] == {"EGU": "mm", "PREC": "3"}


def test_an_integer_that_32_bits_do_not_hold_begins_a_chunk_of_doubles():
    body = written(events(Kind.INT, [0, 1], [1, 2]), events(Kind.INT, [2], [2**31]), events(Kind.INT, [3], [-5]))
    assert [(info["type"], [s["val"] for s in samples]) for info, samples in chunks(body)] == [
        (5, [1, 2]),
        (6, [2.0**31]),
        (5, [-5]),
    ]


def test_without_samples_there_is_a_chunk_of_nothing_but_its_info():
    assert [(info["type"], samples) for info, samples in chunks(written(kind=Kind.ENUM))] == [(3, [])]


def test_several_pvs_are_chunks_of_their_own():
    answer = [
        Series("A", {}, iter([events(Kind.FLOAT, [0], [1.0])]), Kind.FLOAT, 0),
        Series("B", {}, iter([]), Kind.TEXT, 0),
        Series("C", {}, iter([events(Kind.FLOAT, [0], [3.0])]), Kind.FLOAT, 0),
    ]
    found = chunks(b"".join(raw.write(answer)))
    assert [(info["name"], len(samples)) for info, samples in found] == [("A", 1), ("B", 0), ("C", 1)]
