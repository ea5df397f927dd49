"""What a commit keeps, all of it or nothing; what is read back; what a file of another version becomes."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from analytics.alarms.actions import Acknowledge, Comment, Shelve, Signal
from analytics.alarms.alarm import Alarm, State
from analytics.alarms.classes import DEFAULT_CLASSES
from analytics.alarms.life import IllegalActionError, step
from analytics.alarms.pairs import pair
from analytics.alarms.transition import SCHEMA, to_table
from analytics.events.event import CAME, GONE, Event
from archiver.model import Interval, InvalidInputError, NotFoundError, PermanentError, TransientError
from archiver.testing.patience import SOON_S
from services.events.frames import Frame
from services.events.schema import MIGRATIONS, migrate
from services.events.store import FILE, HISTORY, EventStore

HOUR = 3_600_000_000_000


def event(kind: str, time: int, key: str = "T1", value: float | str | None = 91.5) -> Event:
    return Event("hot", key, kind, time, value=value, attributes={"limit": 90.0, "of": ["a", None]})


def fresh(key: str = "T1", name: str = "alert") -> Alarm:
    return Alarm("hot", key, DEFAULT_CLASSES[name], position="east")


def came(key: str = "T1", time: int = 1) -> Alarm:
    return step(fresh(key), Signal(event(CAME, time, key)))[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture
def store(path: Path):
    store = EventStore(path)
    yield store
    store.close()


def test_all_of_a_commit_is_there_after_it(store, path):
    events = [event(CAME, 1), event(GONE, 2, value=None), Event("b", "", "opened", 3, 1, "text", {})]
    first = step(fresh(), Signal(events[0], "too hot"))
    steps = [first, step(first[0], Signal(events[1]))]
    frame = Frame.between(*events[:2])
    with store.commit() as tx:
        assert tx.events(events) == events
        tx.alarms(steps)
        tx.state("runner", b"\x00\xff")
        tx.position("journal", 7)
        tx.frames([frame])
    store.close()
    again = EventStore(path)
    assert again.events() == events
    assert again.alarms() == [steps[1][0]]
    assert again.alarm(fresh().id) == steps[1][0]
    told = again.transitions()
    assert told.schema.equals(HISTORY)
    assert told.select(SCHEMA.names).equals(to_table([*steps[0][1], *steps[1][1]]))
    assert (again.state("runner"), again.position("journal"), again.frames()) == (b"\x00\xff", 7, [frame])
    assert (again.state("other"), again.position("other")) == (None, None)
    again.close()


def test_nothing_of_a_commit_is_there_that_an_error_left(store):
    def fail() -> None:
        with store.commit() as tx:
            tx.events([event(CAME, 1)])
            tx.alarms([step(fresh(), Signal(event(CAME, 1)))])
            tx.state("runner", b"x")
            tx.position("journal", 1)
            tx.frames([Frame.between(event(CAME, 1))])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not store.events()
    assert not store.alarms()
    assert not store.frames()
    assert store.transitions().num_rows == 0
    assert (store.state("runner"), store.position("journal")) == (None, None)


def test_an_event_is_new_once(store):
    with store.commit() as tx:
        assert tx.events([event(CAME, 1), event(GONE, 2), event(CAME, 1)]) == [event(CAME, 1), event(GONE, 2)]
    with store.commit() as tx:
        assert tx.events([event(GONE, 2), event(CAME, 3)]) == [event(CAME, 3)]
    assert len(store.events()) == 3


def test_events_are_found_by_time_and_rule(store):
    events = [Event("a", "", CAME, 1), Event("b", "", CAME, 2), Event("a", "", GONE, 3)]
    with store.commit() as tx:
        tx.events(reversed(events))
    assert store.events() == events
    assert store.events(Interval(2, 3)) == events[1:2]
    assert store.events(rules=["a"]) == [events[0], events[2]]
    assert store.events(rules=["a", "b"], limit=2) == events[:2]


def test_an_operator_acts_on_the_alarm_as_it_is(store):
    with store.commit() as tx:
        tx.alarms([step(fresh(), Signal(event(CAME, 1)))])
    with store.commit() as tx:
        alarm, (told,) = tx.act(fresh().id, Acknowledge(5, "ann", "on it"))
    assert store.alarm(alarm.id) == alarm
    (row,) = store.transitions(after=1).to_pylist()
    assert (row["user"], row["comment"], row["change"], row["id"]) == ("ann", "on it", "acknowledged", told.id)
    with pytest.raises(IllegalActionError, match="ann has"), store.commit() as tx:
        tx.act(alarm.id, Acknowledge(6, "bob"))
    with pytest.raises(NotFoundError, match="no alarm 'nine': list alarms"), store.commit() as tx:
        tx.act("nine", Acknowledge(6, "bob"))
    with pytest.raises(NotFoundError, match="no alarm 'nine'"):
        store.alarm("nine")
    with store.commit() as tx:
        assert tx.alarm("nine") is None


def test_what_was_read_before_somebody_else_changed_it_is_not_kept(store):
    with store.commit() as tx:
        tx.alarms([(came(), ())])
    seen = store.alarm(fresh().id)
    with store.commit() as tx:
        tx.act(seen.id, Acknowledge(5, "ann"))
    for stale in (step(seen, Comment(6, "bob", "hm")), (seen, ())):
        with pytest.raises(TransientError, match="hot of T1 was changed meanwhile"), store.commit() as tx:
            tx.alarms([stale])
    assert store.alarm(seen.id).state is State.ACTIVE_ACKNOWLEDGED


def test_what_is_late_is_in_the_history_once_and_changes_nothing(store):
    alarm, told = step(came(time=5), Signal(event(GONE, 3)))
    with store.commit() as tx:
        tx.alarms([(alarm, ()), (alarm, told), (alarm, told)])
    assert store.transitions()["effect"].to_pylist() == ["late"]
    assert store.alarm(alarm.id) == alarm


def test_a_class_may_change_without_a_transition(store):
    alarm = replace(came(), alarm_class=DEFAULT_CLASSES["danger"])
    with store.commit() as tx:
        tx.alarms([(came(), ()), (alarm, ())])
    assert store.alarm(alarm.id).alarm_class.name == "danger"


def test_alarms_are_found_by_state_and_by_when_their_shelving_ends(store):
    steps = [step(came(key), Shelve(key_time, "bob", "x", HOUR)) for key, key_time in (("T1", 30), ("T2", 20))]
    with store.commit() as tx:
        tx.alarms([(came("T3"), ()), *((alarm, ()) for alarm, _ in steps)])
    assert [alarm.key for alarm in store.alarms()] == ["T1", "T2", "T3"]
    assert [alarm.key for alarm in store.alarms([State.SHELVED])] == ["T1", "T2"]
    assert len(store.alarms([State.SHELVED, State.ACTIVE_UNACKNOWLEDGED])) == 3
    assert store.due(HOUR + 30) == [fresh("T2").id, fresh("T1").id]
    assert store.due(HOUR + 20) == [fresh("T2").id]
    assert store.due(HOUR + 19) == []


def test_every_occurrence_is_kept_as_it_ended(store):
    alarm, steps = fresh(), []
    for action in (event(CAME, 1), event(GONE, 2), event(CAME, 3)):
        steps.append(step(alarm, Signal(action)))
        alarm = steps[-1][0]
    with store.commit() as tx:
        tx.alarms(steps)
        tx.alarms([step(fresh("T2"), Signal(event(CAME, 9, "T2")))])
    found = store.occurrences(alarm=alarm.id)
    assert [(now, then.came, then.gone) for now, then in found] == [(alarm, 3, None), (alarm, 1, 2)]
    assert [row["obsolete"] for _, then in found for row in pair(alarm, then)] == [False, True, True]
    assert [then.came for _, then in store.occurrences(limit=2)] == [9, 3]
    assert [then.came for _, then in store.occurrences(Interval(0, 3))] == [1]


def test_the_history_is_found_by_time_alarm_and_number(store):
    for key, time in (("T1", 5), ("T2", 3), ("T1", 9)):
        with store.commit() as tx:
            before = tx.alarm(fresh(key).id) or fresh(key)
            tx.alarms([step(before, Signal(event(CAME if time < 9 else GONE, time, key)))])
    assert store.transitions()["time"].to_pylist() == [5, 3, 9]
    assert store.transitions(alarm=fresh().id)["time"].to_pylist() == [5, 9]
    assert store.transitions(Interval(3, 6))["number"].to_pylist() == [1, 2]
    assert store.transitions(after=1, limit=1)["number"].to_pylist() == [2]


@pytest.mark.parametrize("table", ["transition", "annotation"])
@pytest.mark.parametrize("change", ["UPDATE {} SET user = 'eve'", "DELETE FROM {}"])
def test_what_somebody_did_cannot_be_undone(store, table, change):
    with store.commit() as tx:
        tx.frames([Frame("f", "hot", "T1", 1)])
        tx.annotate("f", 2, "ann", "x")
        tx.alarms([step(fresh(), Signal(event(CAME, 1)))])
    with pytest.raises(PermanentError, match=f"{table} is only appended to"), store.commit() as tx:
        tx.connection.execute(change.format(table))


def test_a_frame_opens_and_closes():
    opened = Frame.between(event(CAME, 1_000_000_000))
    closed = Frame.between(event(CAME, 1_000_000_000), Event("hot", "T1", GONE, 3_500_000_000, attributes={"peak": 99}))
    assert (opened.id, opened.duration_ns) == (event(CAME, 1_000_000_000).id, None)
    assert closed.to_row() == {
        "id": opened.id, "rule": "hot", "key": "T1",
        "opened": "1970-01-01T00:00:01.000000000Z", "closed": "1970-01-01T00:00:03.500000000Z", "duration_s": 2.5,
        "attributes": {"limit": 90.0, "of": ["a", None], "peak": 99},
    }  # fmt: skip
    assert opened.to_row()["duration_s"] is None


def test_frames_are_found_where_an_interval_meets_them(store):
    frames = [Frame("a", "hot", "T1", 1, 4), Frame("b", "hot", "T1", 4, 4), Frame("c", "cold", "T1", 5)]
    with store.commit() as tx:
        tx.frames(frames)
        tx.frames([replace(frames[0], closed=3, attributes={"peak": 9})])
    frames[0] = replace(frames[0], closed=3, attributes={"peak": 9})
    assert store.frames() == frames
    assert store.frames(Interval(3, 4)) == []
    assert store.frames(Interval(4, 5)) == [frames[1]]
    assert store.frames(Interval(9, 10)) == [frames[2]]
    assert store.frames(rule="cold", limit=5) == [frames[2]]
    assert store.frames(limit=1) == frames[:1]


def test_annotations_survive_a_recalculation(store):
    old = [Frame("same", "hot", "T1", 10, 20), Frame("moved", "hot", "T1", 30, 40), Frame("void", "hot", "T1", 90, 95)]
    with store.commit() as tx:
        tx.frames([*old, Frame("other", "cold", "T1", 15, 35), Frame("later", "hot", "T1", 100)])
        written = [tx.annotate(frame.id, 50 + n, "ann", f"about {frame.id}") for n, frame in enumerate(old)]
    assert [note.to_row()["text"] for note in store.annotations(old[1])] == ["about moved"]
    new = [Frame("same", "hot", "T1", 10, 21), Frame("anew", "hot", "T1", 32, 44), Frame("T2", "hot", "T2", 30, 40)]
    with store.commit() as tx:
        tx.recalculate("hot", Interval(0, 100), new)
    assert {frame.id for frame in store.frames()} == {"same", "anew", "T2", "other", "later"}
    assert [store.annotations(frame) for frame in new] == [[written[0]], [written[1]], []]
    assert store.annotations(Frame("other", "cold", "T1", 15, 35)) == []
    assert store.lost_annotations() == written[1:]


def test_an_annotation_is_about_something_by_somebody(store):
    with pytest.raises(NotFoundError, match="no event frame 'f': list frames"), store.commit() as tx:
        tx.annotate("f", 1, "ann", "x")
    for user, text in (("", "x"), ("ann", " ")):
        with pytest.raises(InvalidInputError, match="give text and user"), store.commit() as tx:
            tx.annotate("f", 1, user, text)


def test_reading_sees_what_is_committed_and_waits_for_nobody(store):
    with store.commit() as tx:
        tx.position("journal", 1)
    seen: list[int | None] = []
    with store.commit() as tx:
        tx.position("journal", 2)
        reader = threading.Thread(target=lambda: seen.append(store.position("journal")))
        reader.start()
        reader.join(SOON_S)
        assert seen == [1]
    assert store.position("journal") == 2


def test_a_file_of_an_earlier_version_is_led_on_and_keeps_what_it_has(path):
    store = EventStore(path)
    with store.commit() as tx:
        tx.position("journal", 3)
    later = (*MIGRATIONS, ("CREATE TABLE later (x INTEGER)", "INSERT INTO later SELECT offset FROM position"))
    migrate(store.store, path, later)
    with store.store.reading() as connection:
        assert connection.execute("SELECT x FROM later").fetchall() == [(3,)]
    store.close()
    before = path.read_bytes()
    with pytest.raises(PermanentError, match=rf"version {len(later)}, newer than {len(MIGRATIONS)}: upgrade forebay"):
        EventStore(path)
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_version_before(path):
    store = EventStore(path)
    with pytest.raises(TransientError, match="no such table: nowhere"):
        migrate(store.store, path, (*MIGRATIONS, ("CREATE TABLE half (x)", "DELETE FROM nowhere")))
    with store.store.reading() as connection:
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").fetchall() == []
    store.close()
    EventStore(path).close()


def test_it_is_written_ahead_and_synced(store, path):
    with store.commit() as tx:
        assert tx.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    other = sqlite3.connect(path)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_readers_cannot_write(store):
    with pytest.raises(TransientError, match="readonly"), store.store.reading() as connection:
        connection.execute("DELETE FROM position")
