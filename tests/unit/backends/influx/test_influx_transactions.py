"""Writes that fail half-way leave points, and nobody ever reads them."""

import pytest

from archiver.backends.influx import state as states
from archiver.backends.influx.client import Client
from archiver.backends.influx.state import State
from archiver.model import Interval, Kind, PermanentError, TransientError
from archiver.model.grid import Grid
from archiver.model.time import DAY_NS
from archiver.ports import Position, WriteReceipt
from archiver.testing.backend_suite.base import batch, exact, read, sample

WEEK = 7 * DAY_NS
NEVER = 2**62


class Stop(Exception):  # noqa: N818 - what a caller's own code may raise
    pass


def stop(_: WriteReceipt) -> None:
    raise Stop


def abandoned(backend, *rows) -> None:
    with pytest.raises(Stop):
        backend.write({"g1": batch(*rows)}, Position("journal", 9), stop)


def stored(ask) -> int:
    found = ask('SELECT count("status") FROM "g1"')
    return found[0]["values"][0][1] if found else 0


@pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
def test_what_an_abandoned_write_left_never_counts(opening, ask, restart: bool):
    """Not even when another write goes over the same times with other kinds of values, or fewer samples."""
    backend = opening()
    backend.write({"g1": batch(sample(1))}, Position("journal", 1))
    abandoned(backend, sample(2, 5.0), sample(3, 5.0, element="ghost"), sample(1, 9.0, received=2), sample(-WEEK, 1.0))
    assert stored(ask) == 5
    if restart:
        backend = opening()
    new = [sample(2, "text", kind=Kind.TEXT, received=3), sample(2, 8.0, sequence=1, received=3)]
    assert backend.write({"g1": batch(*new)}, Position("journal", 2)).duplicates == 0
    assert read(backend, "a", "ghost", versions=True) == exact([sample(1), *new])
    assert backend.elements() == ["a"]
    assert [(c.first, c.last, c.rows) for c in backend.coverage()] == [(1, 2, 3)]
    assert [(segment.interval.start, segment.rows) for segment in backend.segments("g1")] == [(0, 3)]
    assert backend.last_before(["a", "ghost"], 10).source_time.tolist() == [2]
    (made,) = backend.aggregate(["ghost"], Grid(backend.segments("g1")[0].interval, 0), {"count", "last"}, NEVER)
    assert (len(made.cells), list(made.left)) == (0, [])
    assert backend.write({"g1": batch(sample(3, 5.0, element="ghost"))}).duplicates == 0
    assert backend.elements() == ["a", "ghost"]


def test_points_that_are_seen_while_they_are_written(opening):
    """The server shows a field of a point before it has the others; such a point is of a write that is under way."""
    backend = opening()
    backend.write({"g1": batch(sample(1), sample(3))})
    client = backend._opened[0]
    client.write(b"g1,element=a,kind=float status=0i 2\ng1,element=b,kind=float float=1,receive_time=1i 4\n")
    client.write(b"g1,element=c,kind=float write=9i 5\n")
    assert read(backend, "a", "b", "c") == exact([sample(1), sample(3)])
    assert backend.last_before(["a", "b", "c"], 3).source_time.tolist() == [1]
    assert backend.elements() == ["a"]
    (made,) = backend.aggregate(["a", "b", "c"], Grid(Interval(0, 9), 0), {"count", "max"}, NEVER)
    assert (made.cells.numbers["count"].tolist(), list(made.left)) == ([2], [])


def test_a_restart_of_a_process_that_died_takes_other_numbers(opening, ask):
    """Whatever the dead one had used."""
    dead = opening()
    for value in (1.0, 2.0, 3.0):
        abandoned(dead, sample(1, value, element=f"ghost{value}"))
    alive = opening()
    alive.write({"g1": batch(sample(5))})
    assert alive.elements() == ["a"]
    assert stored(ask) == 4


def test_an_ordered_end_gives_numbers_back(opening, ask):
    """So that gaps come from failures only."""
    for number in range(3):
        backend = opening()
        backend.write({"g1": batch(sample(number))})
        backend.close()
    state = State.parse(ask('SELECT "state" FROM "forebay.state"')[0]["values"][0][1])
    assert (state.committed, state.aborted) == (3, ())


def test_numbers_are_set_aside_again_when_they_are_used_up(opening, monkeypatch: pytest.MonkeyPatch):
    import archiver.backends.influx.writing as writing

    monkeypatch.setattr(writing, "RESERVED_AT_ONCE", 2)
    backend = opening()
    for number in range(9):
        abandoned(backend, sample(number, element="ghost"))
        backend.write({"g1": batch(sample(number))})
    assert backend.elements() == ["a"]
    assert len(read(backend, "a", "ghost")) == 9


def test_a_refused_line_leaves_nothing_that_counts(opening, influxdb2):
    """A name longer than a key may be: InfluxDB 1 keeps the other lines, 2 does not."""
    for url in (None, influxdb2.url):
        backend = opening(url)
        good = [sample(number) for number in range(3)]
        bad = sample(5, element="x" * 70_000)
        with pytest.raises(PermanentError, match=r"40\d|422"):
            backend.write({"g1": batch(*good, bad)}, Position(f"journal {url}", 1))
        assert backend.position(f"journal {url}") is None
    assert read(backend, "a") == []


@pytest.mark.parametrize("server", ["influxdb", "influxdb2"])
def test_a_conflict_that_somebody_else_made_is_found_sample_by_sample(opening, request, server: str):
    """Types hold per shard: only samples of that week are refused, by 400 or 422, and the others are kept."""
    backend = opening(request.getfixturevalue(server).url)
    backend.write({}, Position("journal", 1))
    client = Client(backend._options, "somebody else")
    client.connect()
    client.write(f'g1,element=z float="not a number" {10 * WEEK}\n'.encode())
    client.close()
    rows = [sample(0), sample(10 * WEEK + 5), sample(20 * WEEK)]
    with pytest.raises(PermanentError, match="field type conflict"):
        backend.write({"g1": batch(*rows)})
    for row in rows:
        if row.source_time == 10 * WEEK + 5:
            with pytest.raises(PermanentError, match="field type conflict"):
                backend.write({"g1": batch(row)})
        else:
            backend.write({"g1": batch(row)})
    assert read(backend, "a") == exact([rows[0], rows[2]])


def test_what_another_process_wrote_is_known(opening):
    """One at a time; each finds out that the other was there."""
    one, two = opening(), opening()
    one.write({"g1": batch(sample(1))}, Position("journal", 1))
    assert two.write({"g1": batch(sample(1), sample(2))}, Position("journal", 2)).duplicates == 1
    assert one.write({"g1": batch(sample(2), sample(3))}, Position("journal", 2)).repeated
    assert one.write({"g1": batch(sample(2), sample(3))}, Position("journal", 3)).duplicates == 1
    assert read(two) == exact([sample(1), sample(2), sample(3)])


def test_two_that_write_at_once(opening):
    """The later one finds out before it commits, and does it again; an end takes nothing from another."""
    one, two = opening(), opening()
    one.write({"g1": batch(sample(0))}, Position("journal", 0))

    def meanwhile(_: WriteReceipt) -> None:
        two.write({"g1": batch(sample(1))}, Position("journal", 1))

    with pytest.raises(TransientError, match="another process has just written"):
        one.write({"g1": batch(sample(1), sample(2))}, Position("journal", 2), meanwhile)
    assert read(one) == exact([sample(0), sample(1)])
    assert one.write({"g1": batch(sample(1), sample(2))}, Position("journal", 2)).duplicates == 1
    two.close()
    one.close()
    three = opening()
    assert read(three) == exact([sample(0), sample(1), sample(2)])
    assert three.position("journal") == Position("journal", 2)


def test_read_only_beside_a_writer(opening):
    backend = opening()
    beside = opening(read_only=True)
    backend.write({"g1": batch(sample(1))}, Position("journal", 1))
    assert read(beside) == exact([sample(1)])
    assert beside.position("journal") == Position("journal", 1)
    with pytest.raises(PermanentError, match="read-only"):
        beside.write({"g1": batch(sample(2))})
    with pytest.raises(PermanentError, match="read-only"):
        beside.drop_before("g1", 0)


def test_read_only_where_there_is_nothing(opening, ask, database):
    beside = opening(read_only=True)
    assert (beside.elements(), beside.coverage(), beside.position("journal")) == ([], [], None)
    assert read(beside, "a") == []
    with pytest.raises(RuntimeError, match="not found"):
        ask(f'SHOW RETENTION POLICIES ON "{database}"')


def test_closed_is_not_open(opening):
    backend = opening()
    backend.close()
    with pytest.raises(TransientError, match="not open"):
        backend.elements()


def test_segments_of_another_length_do_not_overlap(opening, long_segments):
    """Where a segment was made, samples go on belonging to it."""
    days = [sample(day * DAY_NS, float(day)) for day in range(14)]
    opening().write({"g1": batch(days[3], days[5])})
    backend = opening(groups=long_segments)
    backend.write({"g1": batch(*days)})
    segments = backend.segments("g1")
    spans = [(s.interval.start // DAY_NS, s.interval.end // DAY_NS, s.rows) for s in segments]
    assert spans == [(0, 3, 3), (3, 4, 1), (4, 5, 1), (5, 6, 1), (6, 7, 1), (7, 14, 7)]
    assert sum(segment.rows for segment in backend.drop_before("g1", 6 * DAY_NS)) == 6
    assert read(backend) == exact(days[6:])


def test_a_layout_of_a_newer_version_is_refused(opening, monkeypatch: pytest.MonkeyPatch):
    from archiver.model import ConfigurationError

    with monkeypatch.context() as patch:
        patch.setattr(states, "VERSION", 2)
        opening().write({}, Position("journal", 1))
    with pytest.raises(ConfigurationError, match="layout is version 2, this forebay knows 1"):
        opening()
