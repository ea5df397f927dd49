"""When a channel tells what: grouping, waiting, repeating, quiet hours, retries; by a clock that the test holds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from archiver import config
from archiver.model import BackpressureError, NotFoundError, PermanentError, TransientError
from archiver.model.time import DAY_NS, NANOSECONDS, parse_time
from services.events.notify import outbox as outboxes
from services.events.notify.channel import Channel
from services.events.notify.notice import ACKNOWLEDGED, CAME, GONE, SHELVED, Notice
from services.events.notify.outbox import KEPT_NS, Outbox, trim

S = NANOSECONDS
START = parse_time("2026-03-02T12:00:00Z")  # a Monday


WEBHOOK = {"kind": "webhook", "url": "http://x"}


class Told:
    """A notifier that keeps what it is told, or fails as it is told to."""

    def __init__(self):
        self.groups = []
        self.errors = iter(())

    def send(self, group):
        error = next(self.errors, None)
        if error is not None:
            raise error
        self.groups.append(group)

    @property
    def states(self):
        """What was new in each message: alarm and state."""
        return [[(n.alarm, n.state) for n in group.new] for group in self.groups]


class Bench:
    """A channel, its outbox, and a clock."""

    def __init__(self, outbox, table):
        self.outbox = outbox
        self.time = START
        settings = config.parse(
            {"notify": [{"name": "ops", **(table if "kind" in table else {**WEBHOOK, **table})}]}
        ).notify[0]
        self.channel = Channel(settings, outbox, lambda: self.time)
        self.told = self.channel._notifier = Told()
        self.channel.open()

    def tell(self, *notices):
        self.outbox.add(notices)

    def run(self, seconds):
        """Let time pass, with the channel stepping when it wants to; return the messages' times, s from the start."""
        end, sent = self.time + int(seconds * S), []
        while True:
            before = len(self.told.groups)
            due = self.channel.step()
            if len(self.told.groups) > before:
                sent.append((self.time - START) / S)
            if due > end:
                self.time = end
                return sent
            self.time = max(due, self.time + 1)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path / "events.db")
    made = []

    def make(**table):
        made.append(Bench(outbox, table))
        return made[-1]

    monkeypatch.setattr(outboxes, "now", lambda: made[-1].time if made else START)
    yield make
    outbox.close()


_TIMES = itertools.count(1)


def notice(alarm="a", state=CAME, occurrence="1", **more):
    stands = more.pop("stands", state in (CAME, ACKNOWLEDGED))
    time = next(_TIMES)
    fields = {"rule": "hot", "key": "T1", "alarm_class": "alert", "priority": 60, **more}
    return Notice(alarm, occurrence, state, time, 0, stands, **fields)


# -- grouping ---------------------------------------------------------------------------------------------


def test_a_first_message_waits_for_more_and_the_next_for_the_interval(bench):
    ops = bench(group_wait="30s", group_interval="5m", repeat_interval="0s")
    ops.tell(notice("a"))
    assert ops.run(10) == []
    ops.tell(notice("b"))
    assert ops.run(50) == [30]
    ops.tell(notice("c"))
    assert ops.run(600) == [330]
    assert ops.told.states == [[("a", CAME), ("b", CAME)], [("c", CAME)]]
    assert [n.alarm for n in ops.told.groups[1].standing] == ["a", "b", "c"]


def test_alarms_are_grouped_by_what_they_share(bench):
    ops = bench(group_by=["class", "labels.area"])
    ops.tell(
        notice("a", alarm_class="alert", labels={"area": "north"}),
        notice("b", alarm_class="danger", labels={"area": "north"}),
        notice("c", alarm_class="alert", labels={"area": "north"}),
        notice("d", alarm_class="alert"),
    )
    ops.run(60)
    assert {tuple(g.labels.values()): [n.alarm for n in g.notices] for g in ops.told.groups} == {
        ("alert", "north"): ["a", "c"],
        ("danger", "north"): ["b"],
        ("alert", ""): ["d"],
    }


def test_only_what_matches_is_told(bench):
    ops = bench(
        match={"classes": ["al*"], "min_priority": 50, "keys": ["plant:*"], "labels": {"area": ["n*"]}},
        exclude={"rules": ["regex:noisy.*"]},
    )
    told = {"key": "plant:T1", "labels": {"area": "north"}}
    ops.tell(
        notice("yes", **told),
        notice("class", **told, alarm_class="danger"),
        notice("priority", **told, priority=49),
        notice("key", labels={"area": "north"}),
        notice("label", key="plant:T1"),
        notice("rule", **told, rule="noisy_one"),
    )
    ops.run(60)
    assert ops.told.states == [[("yes", CAME)]]


# -- what is told of an alarm -----------------------------------------------------------------------------


def test_an_alarm_that_came_and_went_while_waiting_is_told_once(bench):
    ops = bench()
    ops.tell(notice("a"), notice("a", GONE))
    ops.run(3600)
    assert ops.told.states == [[("a", GONE)]]


def test_each_occurrence_is_told_even_if_the_channel_was_away(bench):
    ops = bench()
    ops.tell(notice("a"), notice("a", GONE), notice("a", occurrence="2"), notice("a", GONE, occurrence="2"))
    ops.tell(notice("a", occurrence="3"))
    ops.run(60)
    assert [(n.occurrence, n.state) for n in ops.told.groups[0].new] == [("1", GONE), ("2", GONE), ("3", CAME)]


def test_what_becomes_of_an_alarm_is_told_as_the_table_says(bench):
    life = [notice("a"), notice("a", ACKNOWLEDGED), notice("a", GONE)]
    everything = bench(group_interval="1s")
    resolved = bench(group_interval="1s", send_actions=False)
    resolved.channel._mailbox._channel = "resolved"
    resolved.channel._mailbox.open()
    came = bench(group_interval="1s", send_resolved=False, send_actions=False)
    came.channel._mailbox._channel = "came"
    came.channel._mailbox.open()
    for one in life:
        everything.tell(one)
        for ops in (everything, resolved, came):
            ops.run(60)
    assert everything.told.states == [[("a", CAME)], [("a", ACKNOWLEDGED)], [("a", GONE)]]
    assert resolved.told.states == [[("a", CAME)], [("a", GONE)]]
    assert came.told.states == [[("a", CAME)]]


def test_an_acknowledgement_after_it_has_gone_does_not_make_it_stand(bench):
    ops = bench(group_interval="1s", repeat_interval="1h")
    ops.tell(notice("a"))
    ops.run(60)
    ops.tell(notice("a", GONE))
    ops.run(60)
    ops.tell(notice("a", ACKNOWLEDGED, stands=False))
    ops.run(7 * 3600)
    assert ops.told.states == [[("a", CAME)], [("a", GONE)], [("a", ACKNOWLEDGED)]]


def test_a_shelved_alarm_is_silent_until_it_comes_again(bench):
    ops = bench(group_interval="1s", repeat_interval="1h")
    ops.tell(notice("a"))
    ops.run(60)
    ops.tell(notice("a", SHELVED))
    ops.run(7 * 3600)
    ops.tell(notice("a"))
    ops.run(60)
    assert ops.told.states == [[("a", CAME)], [("a", SHELVED)], [("a", CAME)]]


def test_what_has_no_length_is_told_and_does_not_stand(bench):
    ops = bench(repeat_interval="1h")
    ops.tell(notice("a", stands=False))
    ops.run(7 * 3600)
    assert ops.told.states == [[("a", CAME)]]


def test_that_something_has_gone_is_not_told_where_nobody_was_told_that_it_came(bench):
    ops = bench()
    ops.tell(notice("a", GONE), notice("a", ACKNOWLEDGED, stands=False))
    ops.run(3600)
    assert ops.told.states == []


def test_a_notice_that_is_queued_twice_is_told_once(bench):
    ops = bench()
    one = notice("a")
    assert (ops.outbox.add([one]), ops.outbox.add([one, one])) == (1, 0)
    ops.run(60)
    ops.outbox.add([one])
    ops.run(3600)
    assert ops.told.states == [[("a", CAME)]]


# -- repeating --------------------------------------------------------------------------------------------


def test_what_nobody_acknowledges_is_told_again_and_again(bench):
    ops = bench(repeat_interval="4h")
    ops.tell(notice("a"))
    assert ops.run(9 * 3600) == [30, 4 * 3600 + 30, 8 * 3600 + 30]
    assert ops.told.states == [[("a", CAME)], [], []]
    assert len({group.id for group in ops.told.groups}) == 3, "a repetition is no message sent again"
    ops.tell(notice("a", ACKNOWLEDGED))
    assert len(ops.run(9 * 3600)) == 1


def test_a_program_that_forgets_is_told_what_is_acknowledged_too(bench):
    ops = bench(kind="alertmanager", urls=["http://x"])
    ops.tell(notice("a"), notice("a", ACKNOWLEDGED))
    assert ops.run(150) == [0, 60, 120]
    ops.tell(notice("a", GONE))
    assert ops.run(600) == [150]


# -- quiet hours ------------------------------------------------------------------------------------------

NIGHT = {"start": "22:00", "end": "06:00", "timezone": "Europe/Berlin"}


def test_the_night_is_told_in_the_morning(bench):
    ops = bench(quiet_hours=[NIGHT], repeat_interval="1h")
    ops.time = parse_time("2026-03-02T22:30:00Z")
    ops.tell(notice("a"), notice("b"), notice("b", GONE))
    ops.run(6 * 3600)
    assert [format_(group, ops) for group in ops.told.groups] == []
    ops.run(35 * 60)
    assert ops.time == parse_time("2026-03-03T05:05:00Z")
    assert ops.told.states == [[("a", CAME), ("b", GONE)]]


def format_(group, ops):
    return [n.alarm for n in group.notices]


def test_what_is_urgent_is_told_at_night(bench):
    ops = bench(quiet_hours=[{**NIGHT, "unless": {"min_priority": 80}}], repeat_interval="0s")
    ops.time = parse_time("2026-03-02T22:30:00Z")
    ops.tell(notice("a"))
    ops.run(600)
    assert ops.told.states == []
    ops.tell(notice("b", priority=80))
    ops.run(600)
    assert ops.told.states == [[("a", CAME), ("b", CAME)]]


def test_quiet_days_begin_on_the_days_named(bench):
    ops = bench(quiet_hours=[{"start": "00:00", "end": "00:00", "days": ["sat", "sun"]}])
    ops.time = parse_time("2026-03-06T23:59:50Z")  # a Friday: with the wait it is Saturday
    ops.tell(notice("a"))
    ops.run(DAY_NS * 2 / S)
    assert ops.told.states == []
    ops.run(20)
    assert ops.told.states == [[("a", CAME)]]


# -- failures ---------------------------------------------------------------------------------------------


def test_what_fails_is_tried_again_later_each_time_and_told_once(bench):
    ops = bench(group_wait="0s", retry_first="1s", retry_longest="8s", repeat_interval="0s")
    ops.told.errors = iter([TransientError("down")] * 6)
    attempts = []
    send = ops.told.send
    ops.told.send = lambda group: (attempts.append(ops.time), send(group))
    ops.tell(notice("a"))
    (sent,) = ops.run(3600)
    gaps = [(b - a) / S for a, b in itertools.pairwise(attempts)]
    assert len(gaps) == 6
    assert all(most / 2 <= gap <= most + 1e-6 for gap, most in zip(gaps, [1, 2, 4, 8, 8, 8], strict=True))
    assert ops.told.states == [[("a", CAME)]]
    assert ops.channel.status().last_error == ""
    assert sent > 0


def test_the_same_message_has_the_same_id_when_it_is_sent_again(bench):
    ops = bench(group_wait="0s")
    ids = []
    send = ops.told.send
    ops.told.send = lambda group: (ids.append(group.id), send(group))
    ops.told.errors = iter([TransientError("lost answer")])
    ops.tell(notice("a"))
    ops.run(60)
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_it_waits_as_long_as_the_other_side_says(bench):
    ops = bench(group_wait="0s", repeat_interval="0s")
    ops.told.errors = iter([BackpressureError("busy", 120.0)])
    ops.tell(notice("a"))
    assert ops.run(3600) == [120]


def test_what_breaks_a_notifier_is_tried_again(bench, caplog):
    ops = bench(group_wait="0s", repeat_interval="0s")
    ops.told.errors = iter([ZeroDivisionError("oops")])
    ops.tell(notice("a"))
    assert len(ops.run(60)) == 1
    assert "its notifier is broken" in caplog.text


def test_a_group_that_fails_does_not_keep_the_others(bench):
    ops = bench(group_wait="0s", group_by=["alarm"], repeat_interval="0s", retry_longest="10s")
    send = ops.told.send

    def picky(group):
        if group.labels["alarm"] == "poison":
            raise TransientError("no")
        send(group)

    ops.told.send = picky
    ops.tell(notice("poison"), *(notice(f"a{i}") for i in range(20)))
    ops.run(60)
    assert [state for (state,) in ops.told.states] == [(f"a{i}", CAME) for i in range(20)]
    assert ops.channel.status().waiting == 1


def test_what_is_refused_is_kept_as_failed_and_told_when_asked_to(bench):
    ops = bench(group_wait="0s", group_interval="1s", repeat_interval="0s")
    ops.told.errors = iter([PermanentError("422 no such person")])
    ops.tell(notice("a"), notice("b"))
    ops.run(60)
    failed = ops.outbox.failed("ops")
    assert [(f.notice.alarm, f.reason) for f in failed] == [("a", "422 no such person"), ("b", "422 no such person")]
    status = ops.channel.status()
    assert (status.failed, status.waiting, status.last_error) == (2, 0, "422 no such person")
    ops.outbox.retry(failed[0].id)
    ops.outbox.drop(failed[1].id)
    ops.channel.wake()
    ops.run(60)
    assert ops.told.states == [[("a", CAME)]]
    assert ops.outbox.failed() == []
    with pytest.raises(NotFoundError):
        ops.outbox.retry(failed[0].id)


def test_what_cannot_be_told_for_days_is_kept_as_failed_with_its_reason(bench):
    ops = bench(give_up_after="2d", retry_longest="1h")
    ops.told.send = lambda group: (_ for _ in ()).throw(TransientError("nobody answers"))
    ops.tell(notice("a"))
    ops.run(DAY_NS / S)
    ops.tell(notice("b"))
    ops.run(DAY_NS * 1.2 / S)
    assert [(f.notice.alarm, f.reason) for f in ops.outbox.failed()] == [("a", "given up: nobody answers")]
    assert (ops.channel.status().waiting, ops.channel.status().state) == (1, "retrying")


# -- starting again ---------------------------------------------------------------------------------------


def test_a_restart_goes_on_where_it_was(bench):
    first = bench()
    first.tell(notice("a"))
    first.run(60)
    first.tell(notice("b"))
    first.run(10)
    second = bench()
    second.time = first.time
    second.tell(notice("c"))
    second.run(3600)
    assert second.told.states == [[("b", CAME), ("c", CAME)]]


def test_a_new_channel_begins_with_what_stands(bench):
    old = bench()
    old.tell(notice("a"), notice("b"), notice("b", GONE), notice("c"), notice("c", SHELVED))
    old.run(600)
    settings = old.channel.settings.model_copy(update={"name": "new"})
    new = Channel(settings, old.outbox, lambda: old.time)
    told = new._notifier = Told()
    new.open()
    new.step()
    assert [n.alarm for n in told.groups[0].new] == ["a"]


def test_groups_follow_the_configuration(bench):
    one = bench()
    one.tell(notice("a"), notice("b", alarm_class="danger"))
    one.run(10)
    two = bench(group_by=["class"])
    two.time = one.time
    two.run(60)
    assert sorted(two.told.states) == [[("a", CAME)], [("b", CAME)]]


def test_a_channel_that_is_taken_out_leaves_what_it_has_not_told(bench):
    ops = bench()
    ops.tell(notice("a"))
    ops.run(60)
    ops.tell(notice("b"))
    ops.run(1)
    ops.outbox.keep_only(["another"])
    (failed,) = ops.outbox.failed("ops")
    assert (failed.notice.alarm, failed.reason) == ("b", "the channel was taken out of the configuration")
    with pytest.raises(NotFoundError, match="no channel ops"):
        ops.outbox.retry(failed.id)


def test_what_is_over_is_forgotten_and_what_stands_is_not(bench):
    ops = bench(group_interval="1s")
    ops.tell(notice("a"), notice("b"), notice("b", GONE), notice("c"))
    ops.run(600)
    ops.told.errors = iter([PermanentError("no")])
    ops.tell(notice("d"), notice("d", GONE))
    ops.run(600)
    ops.tell(notice("e"))
    ops.time += KEPT_NS + 1
    with ops.outbox.store.transaction() as connection:
        trim(connection, ops.time - KEPT_NS)
        rows = connection.execute("SELECT alarm FROM notify_notice ORDER BY seq").fetchall()
    assert [alarm for (alarm,) in rows] == ["a", "c", "d", "e"]
    assert ops.outbox.failed()[0].notice.alarm == "d"


def test_the_queue_is_trimmed_by_itself(bench, monkeypatch):
    monkeypatch.setattr(outboxes, "_TRIM_EVERY", 10)
    ops = bench(group_interval="1s", repeat_interval="0s")
    for number in range(40):
        ops.tell(notice(f"a{number}"), notice(f"a{number}", GONE))
        ops.run(60)
        ops.time += KEPT_NS
    with ops.outbox.store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM notify_notice").fetchone()[0] <= 12
        assert connection.execute("SELECT count(*) FROM notify_member").fetchone()[0] <= 6


def test_a_flood_comes_in_messages_of_a_size(bench):
    ops = bench(group_interval="1m", repeat_interval="0s")
    ops.tell(*(notice(f"a{number}") for number in range(2500)))
    ops.run(3600)
    assert [len(group.new) for group in ops.told.groups] == [1000, 1000, 500]


def test_what_is_queued_is_gone_with_the_transaction_of_the_alarm(bench):
    ops = bench()

    def change():
        with ops.outbox.store.transaction() as connection:
            outboxes.enqueue(connection, [notice("a")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    ops.run(60)
    assert ops.told.states == []


def test_a_notice_keeps_every_field_through_the_queue(bench):
    ops = bench()
    one = replace(notice("a", labels={"area": "Süd"}), text="t\n\x00", value=float("inf"), by="ann", comment="c")
    ops.tell(one)
    ops.run(60)
    assert ops.told.groups[0].notices == (one,)
    assert one.to_row()["value"] == "inf"
