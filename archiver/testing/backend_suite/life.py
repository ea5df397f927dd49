"""What outlasts a restart, an outage, a compaction and a retention."""

from __future__ import annotations

from itertools import pairwise

import pytest

from archiver.model import Interval, TransientError
from archiver.model.time import DAY_NS
from archiver.ports import Backend, Position, SupportsCompaction, SupportsSegments
from archiver.testing.backend_suite.base import BackendSuite, batch, exact, read, sample
from archiver.testing.backend_suite.writes import mask
from archiver.testing.faults import Faults, FaultyBackend, WriteFault
from archiver.testing.harness import BackendHarness
from archiver.testing.rows import rows_of

DAYS = [sample(day * DAY_NS + step, float(day), element=name) for name in "ab" for day in range(5) for step in (-1, 0)]


class RestartContract(BackendSuite):
    """A new instance on the same place knows everything."""

    def test_everything_is_kept(self, harness: BackendHarness) -> None:
        """Samples, versions and positions."""
        backend = harness.create()
        backend.write({"g1": batch(*DAYS), "g2": batch(sample(1))}, Position("journal", 3))
        backend.write({"g1": batch(sample(0, 9.0, received=2))})
        before = read(backend, versions=True), backend.coverage(), backend.elements()
        backend = harness.reopen(backend)
        assert (read(backend, versions=True), backend.coverage(), backend.elements()) == before
        assert backend.position("journal") == Position("journal", 3)

    def test_a_resend_after_a_restart(self, harness: BackendHarness) -> None:
        """By position, and by content."""
        backend = harness.create()
        backend.write({"g1": batch(*DAYS)}, Position("journal", 3))
        backend = harness.reopen(backend)
        assert backend.write({"g1": batch(*DAYS)}, Position("journal", 3)).repeated
        late = sample(7, element="a")
        assert mask(backend.write({"g1": batch(*DAYS, late)}, Position("journal", 4))) == [True] * len(DAYS) + [False]
        backend = harness.reopen(backend)
        assert read(backend, versions=True) == exact([*DAYS, late])

    def test_close_and_open(self, harness: BackendHarness) -> None:
        """The same instance, several times; closing twice is harmless."""
        backend = harness.create()
        for number in range(3):
            backend.write({"g1": batch(sample(number))}, Position("journal", number))
            backend.close()
            backend.close()
            backend.open()
        assert len(read(backend)) == 3

    def test_an_empty_backend(self, harness: BackendHarness) -> None:
        """There is nothing after a restart where there was nothing before."""
        backend = harness.reopen(harness.create())
        assert (backend.elements(), backend.coverage(), backend.position("journal")) == ([], [], None)

    def test_what_lies_there(self, harness: BackendHarness) -> None:
        """Counted without the backend: each version once, duplicates not at all."""
        backend = harness.create()
        backend.write({"g1": batch(*DAYS, *DAYS), "g2": batch(*DAYS)})
        backend.write({"g1": batch(*DAYS, sample(0, 9.0, received=2))})
        count = harness.raw_count(backend)
        if count is None:
            pytest.skip("the harness has no raw probe")
        assert count == 2 * len(DAYS) + 1


class OutageContract(BackendSuite):
    """A lane repeats a write until it hears that it was done."""

    @pytest.mark.parametrize("fault", list(WriteFault), ids=lambda fault: fault.name.lower())
    @pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
    def test_a_repeated_write_stores_once(self, harness: BackendHarness, fault: WriteFault, restart: bool) -> None:
        """Whenever the connection was lost, and whether or not everything was restarted since."""
        backend = harness.create()
        backend.write({"g1": batch(sample(1))}, Position("journal", 1))
        parts = {"g1": batch(sample(1), sample(2)), "g2": batch(sample(1))}
        for _ in range(2):
            faulty = FaultyBackend(backend)
            faulty.faults.writes.append(fault)
            with pytest.raises(TransientError):
                faulty.write(parts, Position("journal", 2))
            if restart:
                backend = harness.reopen(backend)
            stored = fault is WriteFault.LOST_REPLY
            assert backend.position("journal") == Position("journal", 2 if stored else 1)
            if stored:
                break
        assert FaultyBackend(backend).write(parts, Position("journal", 2)).repeated == stored
        assert read(backend, versions=True, groups=["g1"]) == exact([sample(1), sample(2)])
        assert read(backend, versions=True, groups=["g2"]) == exact([sample(1)])

    def test_an_outage_ends(self, backend: Backend) -> None:
        """During it everything is a `TransientError`; after it everything is as before."""
        faults = Faults()
        faulty = FaultyBackend(backend, faults)
        faulty.write({"g1": batch(sample(1))}, Position("journal", 1))
        faults.outage = True
        for call in (
            faulty.elements,
            faulty.coverage,
            lambda: faulty.position("journal"),
            lambda: list(faulty.read(["a"], Interval(0, 9))),
            lambda: faulty.last_before(["a"], 9),
            lambda: faulty.write({"g1": batch(sample(2))}, Position("journal", 2)),
        ):
            with pytest.raises(TransientError):
                call()
        faults.outage = False
        assert read(backend) == exact([sample(1)])


class SegmentContract(BackendSuite):
    """Retention: whole segments go, and nothing else."""

    @pytest.fixture
    def filled(self, backend: Backend) -> Backend:
        """Return a backend with five days in one group and the same in another, if it has segments."""
        if not isinstance(backend, SupportsSegments):
            pytest.skip("the backend has no segments")
        backend.write({"g1": batch(*DAYS), "g2": batch(*DAYS)}, Position("journal", 1))
        return backend

    def test_segments_hold_everything_once(self, filled: Backend) -> None:
        """In order of time, without overlap; a sample at an edge belongs to the segment that starts there."""
        assert isinstance(filled, SupportsSegments)
        segments = filled.segments("g1")
        times = [row.source_time for row in DAYS]
        assert [segment.rows for segment in segments] == [
            sum(time in segment.interval for time in times) for segment in segments
        ]
        assert sum(segment.rows for segment in segments) == len(DAYS)
        assert all(a.interval.end <= b.interval.start for a, b in pairwise(segments))
        assert {segment.group for segment in segments} == {"g1"}
        assert filled.segments("unknown") == []

    def test_files_of_its_own_or_none(self, filled: Backend, harness: BackendHarness) -> None:
        """A backend with files has one or more for each segment, a database has 0 for all; also after a restart."""
        backend: Backend = filled
        for _ in ("as it is", "reopened"):
            assert isinstance(backend, SupportsSegments)
            segments = backend.segments("g1") + backend.segments("g2")
            assert len({segment.files > 0 for segment in segments}) == 1
            assert min(min(segment.files, segment.bytes) for segment in segments) >= 0
            backend = harness.reopen(backend)

    def test_drop_before(self, filled: Backend) -> None:
        """Segments that end at or before the time go; other groups, later samples and the position stay."""
        assert isinstance(filled, SupportsSegments)
        cut = filled.segments("g1")[1].interval.end
        expected = [segment for segment in filled.segments("g1") if segment.interval.end <= cut]
        assert filled.drop_before("g1", cut - 1) == expected[:1]
        assert filled.drop_before("g1", cut) == expected[1:]
        assert filled.drop_before("g1", cut) == []
        kept = [row for row in DAYS if row.source_time >= cut]
        assert read(filled, groups=["g1"], versions=True) == exact(kept)
        assert read(filled, groups=["g2"], versions=True) == exact(DAYS)
        assert filled.last_before(["a"], cut, groups=["g1"]).num_rows == 0
        assert {c.group: (c.first, c.rows) for c in filled.coverage()} == {
            "g1": (min(row.source_time for row in kept), len(kept)),
            "g2": (min(row.source_time for row in DAYS), len(DAYS)),
        }
        assert filled.position("journal") == Position("journal", 1)

    def test_what_was_dropped_can_be_stored_again(self, filled: Backend) -> None:
        """Dropped samples are not known any more."""
        assert isinstance(filled, SupportsSegments)
        dropped = filled.drop_before("g1", 2 * DAY_NS)
        assert dropped
        gone = sum(segment.rows for segment in dropped)
        receipt = filled.write({"g1": batch(*DAYS)})
        assert receipt.duplicates == len(DAYS) - gone
        assert read(filled, versions=True, groups=["g1"]) == exact(DAYS)

    def test_dropping_everything(self, filled: Backend, harness: BackendHarness) -> None:
        """An empty group is like one that never was, also after a restart."""
        assert isinstance(filled, SupportsSegments)
        for group in ("g1", "g2"):
            filled.drop_before(group, 100 * DAY_NS)
        backend: Backend = filled
        for _ in ("as it is", "reopened"):
            assert (backend.elements(), backend.coverage(), read(backend, "a", "b")) == ([], [], [])
            assert backend.position("journal") == Position("journal", 1)
            backend = harness.reopen(backend)


class CompactionContract(BackendSuite):
    """Rewriting changes nothing that anybody can read."""

    def test_nothing_changes(self, harness: BackendHarness) -> None:
        """Samples, versions, duplicates and positions; also for a read that is under way."""
        backend = harness.create()
        if not isinstance(backend, SupportsCompaction):
            pytest.skip("the backend has no compaction")
        for number, row in enumerate(DAYS):
            backend.write({"g1": batch(row), "g2": batch(row)}, Position("journal", number))
            backend.write({"g1": batch(row._replace(status=4, receive_time=2))})
        before = read(backend), read(backend, versions=True), read(backend, as_of=1), backend.coverage()
        under_way = backend.read(["a", "b"], Interval(-1, 9 * DAY_NS))
        parts = [next(under_way)]
        assert backend.compact() > 0
        assert rows_of(*parts, *under_way) == before[0]
        for _ in range(2):
            assert (read(backend), read(backend, versions=True), read(backend, as_of=1), backend.coverage()) == before
            assert backend.write({"g1": batch(*DAYS)}).duplicates == len(DAYS)
            assert backend.position("journal") == Position("journal", len(DAYS) - 1)
            backend = harness.reopen(backend)
