"""The runner on an archive of this process: what it keeps, what it finds again, what it says when it cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics.alarms.alarm import State
from analytics.alarms.classes import DEFAULT_CLASSES
from analytics.events.rules.loading import parse_rule
from analytics.events.signals.threshold import Threshold
from archiver import config
from archiver.bootstrap import Archive
from archiver.model import ConfigurationError, SampleBatch
from archiver.model.time import now
from archiver.testing.service import until
from services.events.runner import Runner
from services.events.store import EventStore

MEMORY = {"backends": [{"name": "m", "kind": "memory"}]}
S = 1_000_000_000


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(config.parse({**MEMORY, "data": str(tmp_path / "data")})) as archive:
        yield archive


@pytest.fixture
def store(archive: Archive) -> Iterator[EventStore]:
    store = EventStore(archive.directory / "events.db")
    yield store
    store.close()


@pytest.fixture
def runner(archive: Archive, store: EventStore) -> Iterator[Runner]:
    runner = Runner(archive, store)
    yield runner
    runner.close()


def hot(**more: Any) -> Any:
    return parse_rule({"name": "hot", "kind": "threshold", "elements": "T*", "above": 5.0, "alarm": "alert", **more})


def send(archive: Archive, value: float, at: int, element: str = "T1") -> None:
    archive.intake.submit(SampleBatch.from_columns(element, [at], [value])).result()


def kinds(store: EventStore) -> list[str]:
    return [event.kind for event in store.events()]


def test_what_was_found_and_not_kept_is_found_again_with_the_same_ids(archive, store, runner, monkeypatch):
    runner.use([hot()], DEFAULT_CLASSES)
    runner.start()
    start = now()
    monkeypatch.setattr(Runner, "_save", lambda self: None)  # it is killed before it keeps where it stands
    send(archive, 7.0, start)
    until(lambda: kinds(store) == ["came"])
    runner.close()
    monkeypatch.undo()
    again = Runner(archive, store)
    again.use([hot()], DEFAULT_CLASSES)
    again.start()
    send(archive, 1.0, start + S)
    until(lambda: kinds(store) == ["came", "gone"])
    again.close()
    assert store.transitions().num_rows == 2


def test_a_rule_that_fails_is_taken_out_and_the_others_go_on(archive, store, runner, monkeypatch, caplog):
    other = parse_rule({"name": "silent", "kind": "condition", "elements": "T*", "when": "value > 5.0"})
    runner.use([hot(), other], DEFAULT_CLASSES)

    def fail(self: Threshold, *given: object) -> None:
        raise ZeroDivisionError("a fault in the program")

    monkeypatch.setattr(Threshold, "advance", fail)
    runner.start()
    send(archive, 7.0, now())
    until(lambda: kinds(store) == ["came"])
    status = runner.status()
    assert (status.rules, dict(status.failed)) == (1, {"hot": "ZeroDivisionError: a fault in the program"})
    assert "rule hot is taken out" in caplog.text


def test_a_changed_rule_begins_anew_and_ends_what_it_does_not_find(archive, store, runner):
    send(archive, 7.0, now())
    runner.use([hot()], DEFAULT_CLASSES)
    assert kinds(store) == ["came"]
    runner.use([hot(above=6.0)], DEFAULT_CLASSES)  # still so
    assert [alarm.active for alarm in store.alarms()] == [True]
    runner.use([hot(above=9.0)], DEFAULT_CLASSES)
    assert kinds(store) == ["came", "gone"]
    runner.use([], DEFAULT_CLASSES)
    assert kinds(store) == ["came", "gone"]


def test_a_rule_that_is_taken_out_ends_its_alarms(archive, store, runner):
    send(archive, 7.0, now())
    runner.use([hot()], DEFAULT_CLASSES)
    runner.use([hot(enabled=False)], DEFAULT_CLASSES)
    (event,) = [event for event in store.events() if event.kind == "gone"]
    assert event.attributes == {"reason": "the rule was changed or taken out"}


def test_a_wrong_class_changes_nothing(archive, store, runner):
    runner.use([hot()], DEFAULT_CLASSES)
    with pytest.raises(ConfigurationError, match="alarm = 'alertt': no such class of alarms; did you mean 'alert'"):
        runner.use([hot(alarm="alertt", above=9.0)], DEFAULT_CLASSES)
    runner.start()
    send(archive, 7.0, now())
    until(lambda: kinds(store) == ["came"])


def test_the_journal_keeps_what_the_rules_have_not_seen(archive, store, runner):
    runner.use([hot()], DEFAULT_CLASSES)
    send(archive, 7.0, now())
    archive.flush()
    archive.keep()
    assert archive.journal.state().entries == 1
    runner.start()
    until(lambda: kinds(store) == ["came"])


def test_entries_that_are_gone_are_counted_and_told(archive, store, runner, caplog):
    runner.use([hot()], DEFAULT_CLASSES)
    archive.holds.release("rules")  # as where the journal is too full to wait
    send(archive, 7.0, now())
    archive.flush()
    archive.keep()
    runner.start()
    until(lambda: runner.status().gaps == 1)
    assert "gone before they were looked at" in caplog.text


def test_the_states_of_a_machine_raise_and_end_an_alarm(archive, store, runner):
    rule = parse_rule(
        {
            "name": "pump",
            "kind": "states",
            "elements": "T*",
            "initial": "off",
            "transitions": [
                {"from": "*", "to": "fault", "when": "value > 9.0"},
                {"from": "off", "to": "on", "when": "value > 1.0"},
                {"from": "on", "to": "off", "when": "value <= 1.0"},
                {"from": "fault", "to": "off", "when": "value <= 1.0"},
            ],
            "alarm_states": ["fault"],
            "alarm": "alert",
        }
    )
    runner.use([rule], DEFAULT_CLASSES)
    runner.start()
    start = now()
    for second, value in enumerate([0.0, 5.0, 10.0, 0.0]):
        send(archive, value, start + second * S)
    until(lambda: kinds(store)[-2:] == ["fault", "off"])
    (alarm,) = store.alarms()
    assert alarm.state is State.RETURNED_UNACKNOWLEDGED
    frames = [(frame.attributes["state"], frame.duration_ns) for frame in store.frames()]
    assert frames[-3:] == [("on", S), ("fault", S), ("off", None)]


def test_a_shelving_ends_by_itself(archive, store, runner):
    from analytics.alarms.actions import Shelve

    send(archive, 7.0, now())
    runner.use([hot()], DEFAULT_CLASSES)
    (alarm,) = store.alarms()
    with store.commit() as commit:
        commit.act(alarm.id, Shelve(now(), "ann", "calibration", 1))
    runner.start()
    until(lambda: store.alarms()[0].state is State.ACTIVE_UNACKNOWLEDGED)
