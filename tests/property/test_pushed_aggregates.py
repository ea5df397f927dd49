"""What a backend makes of its samples beside them is what is made of them here, nasty numbers included."""

import itertools
import math
import struct
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.backends.influx import InfluxBackend
from archiver.backends.parquet import ParquetBackend
from archiver.backends.parquet import query as querying
from archiver.backends.sql import SqlBackend
from archiver.model import Interval, Kind, Status
from archiver.ports import BackendContext, SupportsAggregation
from archiver.query.execute import execute
from archiver.query.request import AGGREGATES, Query
from archiver.testing.influxdb import influxql
from archiver.testing.postgresql import UnavailableError, find_binaries, running_server
from archiver.testing.rows import Row, batch_of

NAN = struct.unpack(">d", bytes.fromhex("7ff80000deadbeef"))[0]
S = 1_000_000_000
NEVER = 2**62
floats = st.one_of(
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-308, 0.1, 1e308, -1e308, 1e16, math.inf, -math.inf, math.nan, NAN]),
)
values = st.one_of(
    st.floats(-1e6, 1e6).map(lambda v: (Kind.FLOAT, v)),
    floats.map(lambda v: (Kind.FLOAT, v)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: (Kind.INT, v)),
    st.sampled_from([0, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]).map(lambda v: (Kind.UINT, v)),
    st.booleans().map(lambda v: (Kind.BOOL, v)),
    st.sampled_from(["", "x"]).map(lambda v: (Kind.TEXT, v)),
    st.integers(0, 3).map(lambda v: (Kind.ENUM, v)),
    st.just((Kind.FLOATS, [1.0, -0.0])),
    st.just((Kind.NONE, None)),
)
statuses = st.sampled_from(
    [0, 0, 0, 0, 0, int(Status.ACTIVE | Status.UNCHANGED), int(Status.EXP_INV), int(Status.DISCONNECTED),
     int(Status.PAUSED), 1 << 63]
)  # fmt: skip


@st.composite
def samples(draw):
    """Samples of elements that each have mostly one kind of value; a few are corrected, or share an instant."""
    rows = []
    for element in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)):
        mine = draw(st.sampled_from([floats.map(lambda v: (Kind.FLOAT, v)), values,
                                     st.floats(-1e6, 1e6).map(lambda v: (Kind.FLOAT, v)),
                                     st.integers(-5, 2**63 - 1).map(lambda v: (Kind.INT, v))]))  # fmt: skip
        odd = draw(st.booleans())
        for time in draw(st.lists(st.integers(-5, 40), max_size=12, unique=not odd)):
            kind, value = draw(mine)
            sequence = draw(st.integers(0, 1)) if odd else 0
            rows.append(
                Row(element, time, sequence, draw(st.integers(1, 3)) if odd else 1, draw(statuses), kind, value)
            )
    return rows


queries = st.tuples(
    st.integers(-3, 20),
    st.integers(1, 25),
    st.sampled_from([0, 1, 3, 7, 50]),
    st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=3, unique=True),
    st.sampled_from([-10, 12, NEVER]),
)


class Samples:
    """The reading verbs of a backend, without its ability."""

    def __init__(self, backend):
        self.read, self.last_before = backend.read, backend.last_before
        self.elements, self.coverage = backend.elements, backend.coverage


def answered(reader, query, now):
    answer = execute(query, {"it": reader}, now=now)
    table = answer.table()
    return table, answer


def check_equal(backend, query, now):
    """Compare the two ways, and return whether all was made by the backend."""
    pushed, answer = answered(backend, query, now)
    local, reference = answered(Samples(backend), query, now)
    assert pushed.num_rows == local.num_rows
    assert answer.missing == reference.missing
    scale = max(largest(backend, query), default=0.0)
    for name in local.column_names:
        mine, theirs = pushed.column(name).to_pylist(), local.column(name).to_pylist()
        if name in ("mean", "std", "time_weighted_mean", "integral"):
            unit = scale * ((query.interval.end - query.interval.start) / S if name == "integral" else 1)
            for one, other in zip(mine, theirs, strict=True):
                assert (one is None) == (other is None), name
                assert one is None or one == pytest.approx(other, rel=1e-12, abs=1e-12 * unit, nan_ok=True), name
        else:
            assert bits(mine) == bits(theirs), name
    return all(part.aggregated for part in answer.parts)


def largest(backend, query):
    for batch in backend.read(list(query.elements), Interval(-100, 100)):
        for kind in batch.kinds:
            if kind in (Kind.FLOAT, Kind.INT, Kind.UINT):
                found = np.abs(batch.values(kind).fill_null(0).to_numpy(zero_copy_only=False).astype(float))
                yield from found[np.isfinite(found)].tolist()


def bits(column):
    return [struct.pack(">d", value) if isinstance(value, float) else value for value in column]


@pytest.fixture(scope="module", params=["parquet", "parquet, few", "sqlite", "postgresql", "influxdb"])
def backend(request, tmp_path_factory):
    with ExitStack() as stack:
        context = BackendContext("it", tmp_path_factory.mktemp("it"))
        if request.param.startswith("parquet"):
            if request.param == "parquet":  # else so few samples are read, and never made of row groups
                stack.enter_context(pytest.MonkeyPatch.context()).setattr(querying, "FEW_ROWS", -1)
            made = ParquetBackend(context, ParquetBackend.Options())
        elif request.param == "influxdb":
            url = request.getfixturevalue("influxdb").url
            made = InfluxBackend(context, InfluxBackend.Options(url=url, database="pushed"))
            stack.callback(influxql, url, "pushed", 'DROP DATABASE "pushed"')
        else:
            url = "sqlite:///s.db"
            if request.param == "postgresql":
                try:
                    find_binaries()
                except UnavailableError as exc:
                    pytest.skip(str(exc))
                url = stack.enter_context(running_server()).url
            made = SqlBackend(context, SqlBackend.Options(url=url))
        made.open()
        stack.callback(made.close)
        yield made


numbers = itertools.count()


@given(samples(), queries)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_pushed_aggregates_are_those_of_the_samples(backend, rows, asked):
    prefix = f"{next(numbers)}"  # elements of its own for each example: they share the backend
    rows = [row._replace(element=prefix + row.element) for row in rows]
    for group in ("g1", "g2") if len(rows) > 12 else ("g1",):
        backend.write({group: batch_of([row for row in rows if group == "g1" or row.element == f"{prefix}a"])})
    start, length, bucket, aggregates, now = asked
    names = tuple(prefix + name for name in "abcd")
    query = Query(names, Interval(start, start + length), backend="it", aggregates=tuple(aggregates), bucket_ns=bucket)
    check_equal(backend, query, now)


def test_what_is_plain_is_all_made_by_the_backend(backend):
    assert isinstance(backend, SupportsAggregation)
    rows = [Row(f"plain{e}", 10 * t, 0, 1, 0, Kind.FLOAT, t / 7) for e in range(5) for t in range(100)]
    backend.write({"g1": batch_of(rows)})
    names = tuple(f"plain{e}" for e in range(5))
    for aggregates in (("count",), ("mean", "min"), ("first", "last", "max", "good_count")):
        assert set(aggregates) <= backend.aggregates
        query = Query(names, Interval(0, 1000), backend="it", aggregates=aggregates, bucket_ns=60)
        assert check_equal(backend, query, NEVER)
