"""A lane carries everything, once, whatever the backend does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from archiver.backends.memory import MemoryBackend
from archiver.config import LaneSettings
from archiver.journal.file import FileJournal, FileOptions
from archiver.model import (
    ArchiveGroup,
    Interval,
    Kind,
    PermanentError,
    SampleBatch,
    Smoothing,
    SmoothingKind,
    TransientError,
)
from archiver.model.time import ALWAYS
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.delivery import LaneTools
from archiver.pipeline.holdings import Holdings
from archiver.pipeline.lane import Lane
from archiver.pipeline.ledger import Ledger, Outcome, account
from archiver.pipeline.routing import Router
from archiver.pipeline.store import Snapshots, Store
from archiver.pipeline.tail import TailedBackend
from archiver.ports import BackendContext, BackendLimits, Position
from archiver.testing.patience import SOON_S

PLAIN = ArchiveGroup("plain", ("P*",), ("b",))
SMOOTH = ArchiveGroup("smooth", ("S*", "P2"), ("b",), smoothing=Smoothing(SmoothingKind.VALUE, 1.0))
DOOR = ArchiveGroup("door", ("D*",), ("b",), smoothing=Smoothing(SmoothingKind.SWINGING_DOOR, 0.5))
GROUPS = {group.name: group for group in (PLAIN, SMOOTH, DOOR)}


class Trouble(MemoryBackend):
    """A memory backend that fails as it is told."""

    def __init__(self) -> None:
        super().__init__(BackendContext("b", Path(), GROUPS), MemoryBackend.Options())
        self.down = 0
        self.lost_replies = 0
        self.poison: float | None = None
        self.writes = 0

    def write(self, parts, position=None, before_commit=None):
        self.writes += 1
        if self.down:
            self.down -= 1
            raise TransientError("down for maintenance")
        for batch in parts.values():
            if self.poison is not None and self.poison in batch.values(Kind.FLOAT).to_pylist():
                raise PermanentError(f"cannot hold {self.poison}")
        receipt = super().write(parts, position, before_commit)
        if self.lost_replies:
            self.lost_replies -= 1
            raise TransientError("connection lost after the commit")
        return receipt


@dataclass
class Bench:
    directory: Path
    backend: Trouble = field(default_factory=Trouble)
    clock: int = 1000

    def __post_init__(self) -> None:
        self.store = Store(self.directory / "archive.db")
        self.journal = FileJournal(self.directory, FileOptions(max_age_s=10**10))
        self.journal.open()
        store = self.store
        self.tools = LaneTools(self.journal, Ledger(store), DeadLetters(store), Snapshots(store), Holdings(store, 0))
        self.router = Router(GROUPS)
        self.lane: Lane | None = None

    def start(self) -> Lane:
        settings = LaneSettings(flush_interval="20ms", retry_first="1ms", retry_longest="5ms", flush_rows=1000)
        self.lane = Lane(self.backend, self.router, self.tools, settings)
        self.lane.start()
        return self.lane

    def append(self, element: str, *values: float, at: int | None = None) -> None:
        self.clock += 1
        start = self.clock * 1000 if at is None else at
        times = [start + i for i in range(len(values))]
        batch = SampleBatch.from_columns(element, times, list(values), receive_time=self.clock)
        self.journal.append(batch).result(SOON_S)

    def stored(self, *elements: str) -> list[float]:
        batches = list(self.backend.read(elements, ALWAYS))
        return SampleBatch.concat(batches).values(Kind.FLOAT).to_pylist()

    def totals(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for total in self.tools.ledger.totals():
            key = f"{total.group}/{total.outcome}" + (f":{total.reason}" if total.reason else "")
            counts[key] = counts.get(key, 0) + total.count
        return counts

    def unreachable(self) -> None:
        raise TransientError("no route")

    def close(self) -> None:
        if self.lane is not None:
            self.lane.stop(drain=False)
        self.journal.close()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_what_is_in_the_journal_arrives_by_group_and_is_accounted_for(bench: Bench):
    bench.append("P1", 1.0, 2.0)
    bench.append("S1", 5.0, 5.5, 6.5)
    bench.append("P2", 1.0, 1.2)
    assert bench.start().flush(SOON_S)
    assert bench.stored("P1") == [1.0, 2.0]
    assert bench.stored("S1") == [5.0, 6.5]
    assert bench.stored("P2") == [1.0, 1.2]
    assert bench.totals() == {
        "plain/stored": 4,
        "smooth/stored": 3,
        "smooth/smoothed:value": 2,
    }


def test_an_outage_delays_and_loses_nothing(bench: Bench):
    bench.backend.down = 5
    bench.append("P1", 1.0)
    lane = bench.start()
    while not lane.flush(SOON_S):
        pass
    assert bench.stored("P1") == [1.0]
    assert bench.totals() == {"plain/stored": 1}
    assert lane.status().state == "running"
    assert lane.status().last_error == ""


def test_a_lost_reply_doubles_nothing_in_the_backend_or_the_ledger(bench: Bench):
    bench.backend.lost_replies = 2
    bench.append("P1", 1.0, 2.0)
    lane = bench.start()
    while not lane.flush(SOON_S):
        pass
    assert bench.stored("P1") == [1.0, 2.0]
    assert bench.totals() == {"plain/stored": 2}


def test_a_sample_that_came_before_is_a_duplicate(bench: Bench):
    bench.append("P1", 1.0, 2.0, at=50)
    bench.append("P1", 1.0, 2.0, at=50)
    assert bench.start().flush(SOON_S)
    bench.append("P1", 2.0, 3.0, at=51)
    assert bench.lane is not None
    assert bench.lane.flush(SOON_S)
    assert bench.stored("P1") == [1.0, 2.0, 3.0]
    assert bench.totals() == {"plain/stored": 3, "plain/duplicate:already stored": 3}


def test_a_poisonous_sample_is_put_aside_and_its_neighbours_are_stored(bench: Bench):
    bench.backend.poison = 66.0
    bench.append("P1", *[float(i) for i in range(100)])
    bench.append("S1", 7.0)
    assert bench.start().flush(SOON_S)
    assert bench.stored("P1") == [float(i) for i in range(100) if i != 66]
    assert bench.stored("S1") == [7.0]
    (letter,) = bench.tools.dead_letters.list()
    assert (letter.lane, letter.group, letter.reason) == ("b", "plain", "cannot hold 66.0")
    assert bench.tools.dead_letters.samples(letter.id).values(Kind.FLOAT).to_pylist() == [66.0]
    assert bench.totals() == {
        "plain/stored": 99,
        "plain/dead-lettered:refused by the backend": 1,
        "smooth/stored": 1,
    }


def test_a_kind_that_the_backend_does_not_hold_is_put_aside(bench: Bench):
    bench.backend.limits = BackendLimits(kinds=frozenset({Kind.NONE, Kind.FLOAT}))
    bench.append("P1", 1.0)
    bench.journal.append(SampleBatch.from_columns("P3", [5], ["text"], receive_time=2)).result(SOON_S)
    assert bench.start().flush(SOON_S)
    (letter,) = bench.tools.dead_letters.list()
    assert letter.reason == "b holds no values of type text"
    assert bench.totals() == {"plain/stored": 1, "plain/dead-lettered:kind not held": 1}


def test_smoothing_goes_on_where_it_was_after_a_restart(bench: Bench):
    bench.append("S1", 5.0, 5.4)
    assert bench.start().flush(SOON_S)
    assert bench.lane is not None
    bench.lane.stop()
    bench.append("S1", 5.8, 6.2)
    assert bench.start().flush(SOON_S)
    assert bench.stored("S1") == [5.0, 6.2]


def test_smoothing_state_is_rebuilt_from_the_journal_when_its_snapshot_is_old(bench: Bench):
    bench.append("S1", 5.0, 5.4)
    lane = bench.start()
    assert lane.flush(SOON_S)
    lane.snapshot = lambda: None  # as a crash: the state at the end is not kept
    lane.stop(drain=False)
    assert lane.safe_offset == 0
    bench.append("S1", 5.8, 6.2)
    assert bench.start().flush(SOON_S)
    assert bench.stored("S1") == [5.0, 6.2]


def test_a_read_shows_the_tail_as_it_will_be_stored(bench: Bench):
    bench.append("S1", 5.0, 5.4, 7.0)
    lane = bench.start()
    assert lane.flush(SOON_S)
    bench.backend.down = 10**9
    bench.append("S1", 7.5, 8.5)
    bench.append("P1", 1.0)
    tailed = TailedBackend(lane, bench.journal)
    rows = SampleBatch.concat(list(tailed.read(["S1", "P1"], ALWAYS)))
    assert rows.values(Kind.FLOAT).to_pylist() == [1.0, 5.0, 7.0, 8.5]
    assert tailed.last_before(["S1"], 10**12).values(Kind.FLOAT).to_pylist() == [8.5]
    assert tailed.elements() == ["P1", "S1"]
    bench.backend.down = 0


def test_a_sample_that_the_door_holds_can_be_read(bench: Bench):
    bench.append("D1", 0.0, 1.0, 2.0)
    lane = bench.start()
    assert lane.flush(SOON_S)
    assert bench.stored("D1") == [0.0]
    rows = SampleBatch.concat(list(TailedBackend(lane, bench.journal).read(["D1"], ALWAYS)))
    assert rows.values(Kind.FLOAT).to_pylist() == [0.0, 2.0]


def test_a_tail_in_the_middle_of_what_is_stored_is_merged_in_order(bench: Bench):
    bench.append("P1", 1.0, at=100)
    bench.append("P1", 3.0, at=300)
    lane = bench.start()
    assert lane.flush(SOON_S)
    bench.backend.down = 10**9
    bench.append("P1", 2.0, at=200)
    bench.append("P1", 3.5, at=300)
    bench.append("P0", 0.0, at=250)
    rows = SampleBatch.concat(list(TailedBackend(lane, bench.journal).read(["P1", "P0"], Interval(0, 1000))))
    assert [(row[0], row[1], row[-1]) for row in rows.to_pylist()] == [
        ("P0", 250, 0.0),
        ("P1", 100, 1.0),
        ("P1", 200, 2.0),
        ("P1", 300, 3.5),
    ]
    bench.backend.down = 0


def test_a_backend_behind_a_full_journal_gives_up_on_record(bench: Bench):
    bench.backend.down = 10**9
    bench.append("P1", 1.0)
    bench.append("P1", 2.0)
    lane = bench.start()
    while not lane.status().retries:
        lane.flush(1)
    lane.give_up_before(1, "journal full")
    while lane.safe_offset < 1:
        lane.flush(1)
    assert bench.totals() == {"plain/dropped:journal full": 1}
    bench.backend.down = 0
    while not lane.flush(1):
        pass
    assert bench.stored("P1") == [2.0], "what was dropped is not stored after all"
    assert bench.totals() == {"plain/dropped:journal full": 1, "plain/stored": 1}


def test_a_paused_lane_writes_nothing_until_it_is_resumed(bench: Bench):
    lane = bench.start()
    bench.append("P1", 1.0)
    assert lane.flush(SOON_S)
    lane.pause()
    bench.append("P1", 2.0)
    assert not lane.flush(1)
    assert (lane.status().state, lane.status().lag_samples) == ("paused", 1)
    assert bench.stored("P1") == [1.0]
    lane.resume()
    while not lane.flush(1):
        pass
    assert bench.stored("P1") == [1.0, 2.0]
    assert lane.status().state == "running"


def test_what_a_paused_lane_lacks_is_given_up_on_record(bench: Bench):
    lane = bench.start()
    bench.append("P1", 1.0)
    assert lane.flush(SOON_S)
    lane.pause()
    bench.append("P1", 2.0)
    lane.give_up_before(2, "discarded")
    while lane.safe_offset < 2:
        lane.flush(1)
    bench.append("P1", 3.0)
    lane.resume()
    while not lane.flush(1):
        pass
    assert bench.stored("P1") == [1.0, 3.0]
    assert bench.totals() == {"plain/stored": 2, "plain/dropped:discarded": 1}


def test_a_lane_that_retries_pauses_as_well(bench: Bench):
    bench.backend.down = 10**9
    bench.append("P1", 1.0)
    lane = bench.start()
    while not lane.status().retries:
        lane.flush(1)
    lane.pause()
    assert lane.status().state == "paused"
    bench.backend.down = 0
    lane.resume()
    while not lane.flush(1):
        pass
    assert bench.stored("P1") == [1.0]


def test_what_was_given_up_stays_so_after_a_restart(bench: Bench):
    bench.append("P1", 1.0)
    assert bench.start().flush(SOON_S)
    bench.backend.down = 10**9
    bench.append("P1", 2.0)
    bench.append("P1", 3.0)
    assert bench.lane is not None
    bench.lane.give_up_before(2, "journal full")
    while bench.lane.safe_offset < 2:
        bench.lane.flush(1)
    bench.lane.stop(drain=False)
    bench.backend.down = 0
    assert bench.start().flush(SOON_S)
    assert bench.stored("P1") == [1.0, 3.0]
    assert bench.totals() == {"plain/dropped:journal full": 1, "plain/stored": 2}


def test_the_position_is_the_backends_and_not_the_lanes(bench: Bench):
    bench.append("P1", 1.0)
    bench.backend.open()
    bench.backend.write({}, Position(bench.journal.stream, 1))
    bench.append("P1", 2.0)
    assert bench.start().flush(SOON_S)
    assert bench.stored("P1") == [2.0]


def test_a_resend_to_a_smoothed_group_is_smoothed_again(bench: Bench):
    bench.append("S1", 5.0, 5.4, 6.5, 6.6, at=100)
    assert bench.start().flush(SOON_S)
    bench.append("S1", 5.0, 5.4, 6.5, 6.6, at=100)
    assert bench.lane is not None
    assert bench.lane.flush(SOON_S)
    assert bench.stored("S1") == [5.0, 6.5]
    assert bench.totals() == {
        "smooth/stored": 2,
        "smooth/smoothed:value": 4,
        "smooth/duplicate:already stored": 2,
    }


def test_what_a_door_held_is_stored_when_its_group_is_gone(bench: Bench):
    bench.append("D1", 0.0, 1.0, 2.0)
    assert bench.start().flush(SOON_S)
    assert bench.lane is not None
    bench.lane.stop()
    bench.router = Router({"plain": PLAIN})
    bench.append("P1", 1.0)
    assert bench.start().flush(SOON_S)
    assert bench.stored("D1") == [0.0, 2.0]
    assert bench.totals()["door/stored"] == 2


def test_smoothing_switched_off_and_on_again_starts_from_nothing_old(bench: Bench):
    bench.append("S1", 20.0)
    lane = bench.start()
    assert lane.flush(SOON_S)
    lane.stop()
    bench.router = Router({"smooth": ArchiveGroup("smooth", ("S*",), ("b",))})
    bench.append("S1", 30.0)
    lane = bench.start()
    assert lane.flush(SOON_S)
    lane.snapshot = lambda: None  # as a crash
    lane.stop(drain=False)
    bench.router = Router(GROUPS)
    bench.append("S1", 20.1)
    assert bench.start().flush(SOON_S)
    assert bench.stored("S1") == [20.0, 30.0, 20.1]


def test_what_a_door_held_is_released_once(bench: Bench):
    bench.append("D1", 0.0, 1.0)
    lane = bench.start()
    assert lane.flush(SOON_S)
    lane.stop()
    bench.router = Router({"door": ArchiveGroup("door", ("D*",), ("b",))})
    for _ in range(3):
        lane = bench.start()
        assert lane.flush(SOON_S)
        lane.stop()
    assert bench.stored("D1") == [0.0, 1.0]
    assert bench.totals() == {"door/stored": 2}


def test_a_lane_that_gave_up_keeps_what_its_door_held(bench: Bench):
    bench.append("D1", 0.0, 1.0)
    lane = bench.start()
    assert lane.flush(SOON_S)
    bench.backend.down = 10**9
    bench.append("P1", 1.0)
    lane.give_up_before(3, "journal full")
    while lane.position != 3:
        lane.flush(0.01)
    bench.backend.down = 0
    rows = SampleBatch.concat(list(TailedBackend(lane, bench.journal).read(["D1"], ALWAYS)))
    assert rows.values(Kind.FLOAT).to_pylist() == [0.0, 1.0]
    lane.stop()
    assert bench.start().flush(SOON_S)
    assert bench.lane is not None
    rows = SampleBatch.concat(list(TailedBackend(bench.lane, bench.journal).read(["D1"], ALWAYS)))
    assert rows.values(Kind.FLOAT).to_pylist() == [0.0, 1.0]


def test_a_lane_that_was_never_reached_drops_what_it_is_not_sure_of(bench: Bench):
    stream = bench.journal.stream
    for offset in (1, 2):
        bench.append("P1", float(offset))
        stored = account(SampleBatch.from_columns("P1", [offset], [1.0]), Outcome.STORED, group="plain")
        bench.tools.ledger.record("b", stream, offset, stored)  # the second one was never committed
    bench.backend.open = bench.unreachable
    lane = bench.start()
    lane.give_up_before(2, "journal full")
    while lane.safe_offset != 2:
        lane.flush(0.01)
    assert bench.totals() == {"plain/stored": 1, "plain/dropped:journal full": 1}


def test_a_resend_in_the_tail_shows_nothing_that_was_smoothed_away(bench: Bench):
    bench.append("S1", 5.0, 5.4, 6.5, 6.6, at=100)
    lane = bench.start()
    assert lane.flush(SOON_S)
    bench.backend.down = 10**9
    bench.append("S1", 5.0, 5.4, 6.5, 6.6, at=100)
    rows = SampleBatch.concat(list(TailedBackend(lane, bench.journal).read(["S1"], ALWAYS)))
    assert rows.values(Kind.FLOAT).to_pylist() == [5.0, 6.5]
    bench.backend.down = 0


def test_a_backend_that_lacks_what_the_journal_has_forgotten_says_so(bench: Bench):
    for value in (1.0, 2.0, 3.0):
        bench.append("P1", value)
    bench.backend.open()
    bench.backend.write({}, Position(bench.journal.stream, 1))
    bench.journal.trim(2)
    lane = bench.start()
    assert lane.flush(SOON_S)
    assert lane.status().last_error == "lacks journal entries 2 to 2, which are trimmed: use `forebay copy`"
    assert bench.stored("P1") == [3.0]


def test_a_resend_of_what_the_door_holds_is_a_duplicate(bench: Bench):
    bench.append("D1", 0.0, 1.0, at=100)
    bench.append("D1", 0.0, 1.0, at=100)
    assert bench.start().flush(SOON_S)
    assert bench.stored("D1") == [0.0]
    assert bench.totals() == {
        "door/stored": 1,
        "door/duplicate:already stored": 1,
        "door/duplicate:held already": 1,
    }


def test_a_poisonous_sample_that_comes_twice_is_put_aside_once(bench: Bench):
    bench.backend.poison = 66.0
    bench.append("P1", 66.0, at=100)
    bench.append("P1", 66.0, at=100)
    assert bench.start().flush(SOON_S)
    assert [letter.rows for letter in bench.tools.dead_letters.list()] == [1]
    assert bench.totals() == {"plain/dead-lettered:refused by the backend": 1, "plain/duplicate:already stored": 1}
