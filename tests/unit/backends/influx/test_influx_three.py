"""InfluxDB 3, as far as its documentation says: one statement at a time, tags that never change, no deleting."""

import pytest

from archiver.model import Kind, UnsupportedError
from archiver.ports import Position
from archiver.testing.backend_suite.base import batch, exact, read, sample

ROWS = [
    sample(1, 0.5),
    sample(2, "text; with 'quotes'", kind=Kind.TEXT),
    sample(2, [1.0, 2.0], kind=Kind.FLOATS, sequence=1),
    sample(3, None, element="b; c"),
    sample(-(2**63), 1.0),
    sample(4, b"x" * 500_000, kind=Kind.BINARY),
]


@pytest.fixture
def backend(opening, influxdb3):
    return opening(influxdb3.url, organization="")


def test_write_and_read(backend):
    backend.write({"g1": batch(*ROWS[:2])}, Position("journal", 1))
    assert backend.write({"g1": batch(*ROWS), "g2": batch(ROWS[0])}, Position("journal", 2)).duplicates == 2
    corrected = sample(1, 0.7, received=2)
    backend.write({"g1": batch(corrected)})
    assert read(backend) == exact([corrected, *ROWS[1:]])
    assert read(backend, versions=True) == exact([*ROWS, corrected])
    assert read(backend, "b; c") == exact([ROWS[3]])
    assert backend.elements() == ["a", "b; c"]
    assert backend.last_before(["a"], 3).source_time.tolist() == [2]
    assert backend.position("journal") == Position("journal", 2)


def test_a_restart(backend, opening, influxdb3):
    backend.write({"g1": batch(*ROWS)}, Position("journal", 1))
    backend.close()
    again = opening(influxdb3.url, organization="")
    assert again.write({"g1": batch(*ROWS)}, Position("journal", 1)).repeated
    assert read(again) == exact(ROWS)


def test_nothing_is_deleted(backend):
    backend.write({"g1": batch(*ROWS)})
    with pytest.raises(UnsupportedError, match="deletes no samples"):
        backend.drop_before("g1", 100)


def test_aggregates_are_left_to_others(backend):
    assert backend.aggregates == frozenset()
