"""A database as WinCC OA's documentation describes it, read in place."""

import math

import pytest

from archiver.backends.influx.client import Client
from archiver.model import ConfigurationError, Interval, Kind, SampleBatch, UnsupportedError
from archiver.model.time import ALWAYS
from archiver.ports import Position
from archiver.testing.backend_suite.base import batch, exact, read, sample

T0 = 1_700_000_000_000_000_000
LINES = (
    r"""
EVENT,name=System1:pump\ 1.speed,variabletype=Pump,alias=P1 valuetype=3i,VALUE_float=1.5,STATUS=257i,_user=0i T01
EVENT,name=System1:pump\ 1.speed,variabletype=Pump,alias=P1b valuetype=3i,VALUE_float_special="nan",STATUS=1i T02
EVENT,name=System1:pump\ 1.speed,variabletype=Pump valuetype=3i,VALUE_float_special="-#inf",STATUS=1i T03
EVENT,name=System1:state,variabletype=S valuetype=1i,VALUE_int=-7i,STATUS=-9223372036854775807i T04
EVENT,name=System1:bits valuetype=9i,VALUE_int=-1i,STATUS=1i T05
EVENT,name=System1:on valuetype=0i,VALUE_bool=true,STATUS=1i T06
EVENT,name=System1:text,variabletype=T valuetype=4i,VALUE_string="two
lines, \"quoted\"",STATUS=1i,_comment="not ours" T07
EVENT,name=System1:list valuetype=3i,VALUE_dyn="1.0|2.0",VALUE_float=9,STATUS=1i T08
EVENT,name=System1:blob valuetype=5i,STATUS=1i T09
""".lstrip()
    .replace("VALUE_", "original_value_")
    .replace("STATUS", "_status64")
    .replace(" T", f" {T0 // 100}")
)


def event(time: int, element: str, value, kind: Kind, status: int = 1):
    return sample(T0 + time, value, element=f"System1:{element}", kind=kind, status=status, received=T0 + time)


EXPECTED = [
    event(1, "pump 1.speed", 1.5, Kind.FLOAT, 257),
    event(2, "pump 1.speed", math.nan, Kind.FLOAT),
    event(3, "pump 1.speed", -math.inf, Kind.FLOAT),
    event(4, "state", -7, Kind.INT, 2**63 + 1),
    event(5, "bits", 2**64 - 1, Kind.UINT),
    event(6, "on", True, Kind.BOOL),
    event(7, "text", 'two\nlines, "quoted"', Kind.TEXT),
    event(8, "list", "1.0|2.0", Kind.TEXT),
    event(9, "blob", None, Kind.NONE),
]


@pytest.fixture
def backend(opening, ask, database, influxdb):
    """A database with one archive group, and one retention policy that holds nothing."""
    ask(f'CREATE DATABASE "{database}"')
    for policy in ("EVENT", "ALERT"):
        ask(f'CREATE RETENTION POLICY "{policy}" ON "{database}" DURATION INF REPLICATION 1')
    backend = opening(layout="wincc-oa", groups={})
    client = Client(backend._options, "WinCC OA")
    client._pool.request("POST", f"{influxdb.url}/write?db={database}&rp=EVENT", body=LINES.encode())
    client.close()
    return backend


def test_every_value_type(backend):
    assert read(backend) == exact(EXPECTED)
    assert read(backend, groups=["EVENT"], versions=True) == exact(EXPECTED)
    assert read(backend, groups=["ALERT"]) == []


def test_selection(backend):
    assert read(backend, "System1:on", "nothing") == exact([EXPECTED[5]])
    assert read(backend, interval=Interval(T0 + 3, T0 + 5)) == exact(EXPECTED[2:4])
    assert read(backend, interval=ALWAYS, as_of=T0 + 3) == exact(EXPECTED[:3])


def test_last_before(backend):
    names = sorted({row.element for row in EXPECTED})
    assert backend.elements() == names
    found = backend.last_before(names, T0 + 5)
    assert found.source_time.tolist() == [T0 + 3, T0 + 4]
    assert backend.last_before(["System1:pump 1.speed"], T0 + 3).source_time.tolist() == [T0 + 2]


def test_coverage(backend):
    assert [(c.group, c.first, c.last, c.rows) for c in backend.coverage()] == [("EVENT", T0 + 1, T0 + 9, 9)]


def test_aggregates_are_left_to_others(backend):
    assert backend.aggregates == frozenset()


def test_nothing_is_written(backend, ask):
    before = ask("SHOW MEASUREMENTS")
    with pytest.raises(UnsupportedError, match="never writes"):
        backend.write({"g": batch(sample(1))})
    with pytest.raises(UnsupportedError):
        backend.drop_before("EVENT", T0 + 100)
    passed = []
    assert backend.write({"g": SampleBatch.empty()}, Position("journal", 3), passed.append).duplicates == 0
    assert len(passed) == 1
    assert backend.position("journal") is None
    assert backend.segments("EVENT") == []
    assert ask("SHOW MEASUREMENTS") == before


def test_a_group_cannot_store_there(opening):
    with pytest.raises(ConfigurationError, match="g1, g2 cannot be stored by backend 'hot'"):
        opening(layout="wincc-oa")
