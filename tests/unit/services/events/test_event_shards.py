"""The parts of an event worker that need no Kafka: sharing out, taking in, and what survives a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from analytics.events.engine import Engine, Program, run
from analytics.events.event import Event
from analytics.events.rules.loading import parse
from analytics.events.rules.programs import program_of
from analytics.events.signals.threshold import Threshold
from archiver.model import SampleBatch
from services.events.faust.checkpoint import Checkpoints, progress_of
from services.events.faust.evaluate import Progress, Shard
from services.events.faust.messages import Routed, event_bytes, event_of, routed_of
from services.events.faust.route import Entry, route
from services.events.faust.shards import Shards

S = 1_000_000_000
COUNT = 4
RULES = [
    {"name": "hot", "kind": "threshold", "elements": "plant:*", "above": 80.0, "lateness": "10s"},
    {
        "name": "apart",
        "kind": "condition",
        "inputs": {"inlet": "plant:{device}:IN", "outlet": "plant:{device}:OUT", "mode": "plant:MODE"},
        "when": "inlet - outlet > 20.0 && mode > 0.0",
        "lateness": "10s",
    },
    {"name": "sum", "kind": "vote", "inputs": {"any": "plant:*:IN"}, "when": "value > 60.0", "at_least": 3},
]
ELEMENTS = [f"plant:P{number}:{side}" for number in range(6) for side in ("IN", "OUT")] + ["plant:MODE"]


def programs() -> list[Program]:
    return [program_of(rule) for rule in parse({"rules": RULES})]


def journal(seed: int, entries: int = 30, rows: int = 25) -> list[SampleBatch]:
    rng = np.random.default_rng(seed)
    batches = []
    for number in range(entries):
        times = number * S + np.arange(rows) * (S // rows) + seed
        names = [ELEMENTS[place] for place in rng.integers(0, len(ELEMENTS), rows)]
        batch = SampleBatch.from_columns(names, times, rng.normal(50.0, 30.0, rows))
        batches.append(batch.with_receive_time(int(times[-1]) + 1))
    return batches


def in_one_engine(*journals: Sequence[SampleBatch]) -> list[Event]:
    batches = sorted((batch for own in journals for batch in own), key=lambda batch: int(batch.receive_time[0]))
    return sorted(run(Engine(programs()), batches), key=lambda event: event.order)


def messages(shards: Shards, *journals: Sequence[SampleBatch], seed: int = 0) -> Iterator[list[Routed]]:
    """Route the entries of journals, several at a time; yield what all shards get, in turns."""
    rng = np.random.default_rng(seed)
    places, clocks = [0] * len(journals), [0] * len(journals)
    while any(place < len(own) for place, own in zip(places, journals, strict=True)):
        number = int(rng.integers(0, len(journals)))
        first, many = places[number], int(rng.integers(1, 4))
        taken = journals[number][first : first + many]
        if not taken:
            continue
        entries = [Entry(first + place, batch) for place, batch in enumerate(taken)]
        made = route(shards, number, first - 1, clocks[number], entries)
        places[number], clocks[number] = first + len(taken), made[0].clock
        yield made


def found_by(shards: Sequence[Shard], routed: Sequence[Sequence[Routed]]) -> list[Event]:
    events = []
    for shard in shards:
        for offset, made in enumerate(routed):
            events += shard.take([(offset, routed_of(made[shard.number].to_bytes()))])
    return sorted(events, key=lambda event: event.order)


def made(journals: int = 1, **more: object) -> list[Shard]:
    return [Shard(number, journals, programs(), Shards(programs(), COUNT), **more) for number in range(COUNT)]


def test_shards_find_together_what_one_engine_finds():
    entries = journal(1)
    expected = in_one_engine(entries)
    shards = made()
    assert found_by(shards, list(messages(Shards(programs(), COUNT), entries))) == expected
    assert {event.rule for event in expected} == {"hot", "apart", "sum"}
    assert sum(shard.late for shard in shards) == 0


@pytest.mark.parametrize("seed", range(5))
def test_several_journals_are_taken_in_the_order_of_receipt_whatever_order_they_come_in(seed):
    one, two = journal(1), journal(2)
    end = SampleBatch.from_columns("end", [100 * S], [0.0]).with_receive_time(100 * S)
    routed = list(messages(Shards(programs(), COUNT), [*one, end], [*two, end], seed=seed))
    shards = made(2)
    assert found_by(shards, routed) == in_one_engine(one, two, [end])
    assert not any(shard.waiting for shard in shards)


def test_what_was_taken_in_before_changes_nothing():
    routed = list(messages(Shards(programs(), COUNT), journal(1)))
    expected = in_one_engine(journal(1))
    again = [made for place in range(len(routed)) for made in routed[max(0, place - 2) : place + 1]]
    assert found_by(made(), again) == expected


def test_entries_that_partly_came_before_are_cut():
    shards, entries = Shards(programs(), COUNT), journal(1)
    first = route(shards, 0, -1, 0, [Entry(place, batch) for place, batch in enumerate(entries[:20])])
    rest = route(shards, 0, -1, 0, [Entry(place, entries[place]) for place in range(10, 30)])
    assert found_by(made(), [first, rest]) == in_one_engine(entries)


def test_what_follows_on_something_missing_waits_until_both_come():
    routed = list(messages(Shards(programs(), COUNT), journal(1)))
    shards = made()
    assert found_by(shards, [*routed[:3], routed[4], *routed[3:]]) == in_one_engine(journal(1))
    assert [shard.refused for shard in shards] == [1] * COUNT


def test_silence_of_a_journal_lets_the_others_go_on():
    shards = Shards(programs(), COUNT)
    entries = route(shards, 0, -1, 0, [Entry(place, batch) for place, batch in enumerate(journal(1))])
    shard = made(2)[0]
    assert not shard.take([(0, entries[0])])
    assert shard.waiting
    assert shard.take([(1, Routed(1, -1, [], [], 100 * S, b""))])
    assert not shard.waiting


def test_a_rule_that_fails_is_taken_out_of_its_shard_and_the_others_go_on(monkeypatch):
    expected = [event for event in in_one_engine(journal(1)) if event.rule != "hot"]
    monkeypatch.setattr(Threshold, "advance", lambda *_: 1 / 0)
    shards = made()
    assert found_by(shards, list(messages(Shards(programs(), COUNT), journal(1)))) == expected
    assert {tuple(shard.failed) for shard in shards} == {("hot",)}
    assert not any("hot" in shard.names for shard in shards)


class CutError(Exception):
    """The worker was killed."""


class Changelog(dict):
    """A table that is cut off after so many writes."""

    left = 10**9

    def __setitem__(self, key, value):
        if self.left == 0:
            raise CutError
        self.left -= 1
        super().__setitem__(key, value)


@pytest.mark.parametrize("writes", [0, 1, 3, 4, 6, 9, 11])
def test_a_checkpoint_that_is_cut_off_leaves_the_one_before_whole(writes):
    routed = list(messages(Shards(programs(), COUNT), journal(1)))
    for number in range(COUNT):
        table, events = Changelog(), []
        table.left = writes
        try:
            evaluate(table, number, routed, events)
        except CutError:
            table.left = 10**9
            evaluate(table, number, routed, events)
        found = {event.id: event for event in events}
        alone = found_by([made()[number]], routed)
        assert sorted(found.values(), key=lambda event: event.order) == alone
        assert progress_of(table, number).offset == len(routed) - 1


def evaluate(table: Changelog, number: int, routed: Sequence[Sequence[Routed]], events: list[Event]) -> None:
    """Go on from what is in the table, with a checkpoint after each second message."""
    checkpoints = Checkpoints(table, number)
    saved, progress = checkpoints.restore()
    shard = Shard(number, 1, programs(), Shards(programs(), COUNT), saved, progress)
    for offset in range(progress.offset + 1, len(routed)):
        events += shard.take([(offset, routed[offset][number])])
        if offset % 2 or offset == len(routed) - 1:
            fresh = checkpoints.fresh
            checkpoints.write(shard.all() if fresh else shard.changed(), shard.names, shard.progress.copy())
            shard.kept()
            if fresh:
                checkpoints.forget_others()


def test_a_holder_that_lost_its_shard_spoils_nothing():
    table: dict[bytes, bytes] = {}
    old = Checkpoints(table, 0)
    old.write({"hot": b"1"}, ["hot"], Progress(5))
    new = Checkpoints(table, 0)
    assert new.restore() == ({"hot": b"1"}, Progress(5))
    new.write({"hot": b"2"}, ["hot"], Progress(8))
    new.forget_others()
    old.write({}, ["hot"], Progress(9))  # it does not know, and its states are gone
    assert Checkpoints(table, 0).restore() == ({"hot": b"2"}, Progress(8))
    assert Checkpoints(table, 1).restore() == ({}, Progress())


def test_an_event_is_told_whole():
    event = Event("hot", "T1", "came", 5, 2, 81.5, {"limit": 80.0})
    assert event_of(event_bytes(event)) == event
    with pytest.raises(ValueError, match="no event"):
        event_of(b"[1]")
