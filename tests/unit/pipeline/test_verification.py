"""What of two backends need not be the same, and what a repair leaves alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest

from archiver.backends.memory import MemoryBackend
from archiver.model import ArchiveGroup, Interval, InvalidInputError, Kind, SampleBatch, Smoothing, SmoothingKind
from archiver.model.time import ALWAYS, DAY_NS, MAX_TIME, MIN_TIME, now
from archiver.pipeline.routing import Router
from archiver.pipeline.verification import Plan, Repair, Side, verify
from archiver.pipeline.verification.scopes import Scope
from archiver.ports import BackendContext, BackendLimits
from archiver.testing.backend_suite.base import batch, sample
from archiver.testing.strategies import LAST_TIME

ALL = ArchiveGroup("all", ("*",), ("one", "other"))
THIN = ArchiveGroup("thin", ("*",), ("other",), smoothing=Smoothing(SmoothingKind.VALUE, 0.5))


def side(name: str, *groups: ArchiveGroup, limits: BackendLimits | None = None, **content: SampleBatch) -> Side:
    """A backend in memory; `content` by group."""
    backend = MemoryBackend(BackendContext(name, Path()), MemoryBackend.Options())
    if limits is not None:
        backend.limits = limits
    backend.write(content)
    return Side(backend, Router({group.name: group for group in groups}))


def causes(report):
    return [(exemption.cause, exemption.backend, exemption.samples) for exemption in report.exempt]


def mended(sides, index):
    target = sides[index].backend
    return verify(sides, Plan(ALWAYS), Repair(target.name, lambda group, part: target.write({group: part})))


def test_a_group_that_only_one_stores():
    own = ArchiveGroup("own", ("b",), ("one",))
    both = batch(sample(1), sample(2, element="b"))
    sides = (
        side("one", replace(ALL, exclude=("b",)), own, all=both.slice(0, 1), own=both.slice(1)),
        side("other", replace(ALL, exclude=("b",)), all=both.slice(0, 1)),
    )
    report = verify(sides, Plan(ALWAYS))
    assert report.same
    assert causes(report) == [("group", "one", None)]
    assert "1 elements are in group own, which one stores and other does not" in report.exempt[0].reason


def test_groups_of_other_names_are_compared_as_a_query_sees_them():
    fast, slow = replace(ALL, name="fast"), replace(ALL, name="slow")
    sides = side("one", fast, fast=batch(sample(1), sample(2))), side("other", slow, slow=batch(sample(1)))
    report = verify(sides, Plan(ALWAYS))
    assert (report.only, report.exempt) == ([1, 0], [])
    assert mended(sides, 1).same


def test_groups_that_smooth_differently_are_not_compared():
    sides = side("one", ALL, all=batch(sample(1), sample(2))), side("other", THIN, thin=batch(sample(1)))
    report = verify(sides, Plan(ALWAYS))
    assert report.same
    assert causes(report) == [("smoothing", "", None)]


def test_what_a_retention_may_have_dropped_is_not_compared():
    kept = replace(ALL, retention_ns=10 * DAY_NS)
    time = now() - 20 * DAY_NS
    fresh = sample(now() - DAY_NS)
    sides = side("one", kept, all=batch(sample(time), fresh)), side("other", kept, all=batch(fresh))
    report = verify(sides, Plan(ALWAYS))
    assert report.same
    assert causes(report) == [("retention", "", None)]
    assert sum(segment.rows[0] for segment in report.segments) == 1
    sides[0].backend.write({"all": batch(sample(fresh.source_time + 1))})
    assert verify(sides, Plan(ALWAYS)).only == [1, 0]


def test_kinds_that_the_other_does_not_hold_are_left_out_and_not_copied():
    numbers = BackendLimits(kinds=frozenset({Kind.NONE, Kind.FLOAT}))
    mixed = batch(sample(1), sample(2, "x", kind=Kind.TEXT), sample(3, None), sample(4))
    sides = side("one", ALL, all=mixed), side("other", ALL, limits=numbers, all=batch(sample(1), sample(3, None)))
    report = verify(sides, Plan(ALWAYS))
    assert report.only == [1, 0]
    assert causes(report) == [("kind", "one", 1)]
    assert mended(sides, 1).same
    assert [kind for *_, kind, _ in sides[1].backend._state.groups["all"].to_pylist()] == [1, 0, 1]


@pytest.mark.parametrize("index", [0, 1])
def test_a_coarser_resolution_is_no_difference(index):
    exact = batch(*(sample(time, float(time // 1000)) for time in (1000, 1001, 1999, 2500, -1, LAST_TIME)))
    cut = batch(*(sample(time, float(time // 1000)) for time in (1000, 2000, -1000, LAST_TIME // 1000 * 1000)))
    coarse = side("coarse", ALL, limits=BackendLimits(resolution_ns=1000), all=cut)
    sides = [side("exact", ALL, all=exact), coarse][:: 1 if index == 0 else -1]
    report = verify((sides[0], sides[1]), Plan(ALWAYS))
    assert report.same
    assert causes(report) in ([], [("resolution", "", 2)])
    coarse.backend.write({"all": batch(sample(9000))})
    report = verify((sides[0], sides[1]), Plan(ALWAYS))
    assert sum(report.only) == 1


def test_several_samples_in_a_step_of_which_one_is_kept():
    exact = batch(sample(1000, 1.0), sample(1001, 2.0), sample(1002, 3.0), sample(5000, 4.0))
    limits = BackendLimits(resolution_ns=1000)
    sides = (
        side("exact", ALL, all=exact),
        side("coarse", ALL, limits=limits, all=batch(sample(1000, 3.0), sample(5000, 4.0))),
    )
    report = verify(sides, Plan(ALWAYS))
    assert report.same
    assert causes(report) == [("resolution", "", 2)]


def test_a_backend_that_stores_a_group_no_more_is_compared_up_to_its_last_sample():
    sides = side("old", all=batch(sample(1), sample(3))), side("new", ALL, all=batch(sample(1), sample(3), sample(9)))
    report = verify(sides, Plan(ALWAYS))
    assert report.same
    assert causes(report) == [("group", "old", None)]
    sides[1].backend.write({"all": batch(sample(2))})
    assert verify(sides, Plan(ALWAYS)).only == [0, 1]
    with pytest.raises(InvalidInputError, match="old stores no archive group with 'a'"):
        mended(sides, 0)


def test_elements_of_no_group_any_more():
    gone = batch(sample(1))
    report = verify((side("one", old=gone), side("other", older=gone)), Plan(ALWAYS))
    assert report.same
    assert [segment.rows for segment in report.segments] == [(1, 1)]
    report = verify((side("one", old=gone), side("other")), Plan(ALWAYS))
    assert (report.segments, causes(report)) == ([], [("group", "one", None)])


def test_history_under_a_group_of_an_earlier_configuration_is_compared():
    past = batch(sample(1), sample(2))
    sides = side("one", ALL, former=past), side("other", ALL, all=past)
    assert verify(sides, Plan(ALWAYS)).same


def test_most_differences_are_shown_and_all_are_counted():
    sides = side("one", ALL, all=batch(*(sample(i) for i in range(50)))), side("other", ALL)
    report = verify(sides, Plan(ALWAYS, shown=3))
    assert (len(report.shown), report.only) == (3, [50, 0])
    assert report.to_dict()["only_in"] == {"one": 50, "other": 0}
    assert verify((side("one", ALL), side("other", ALL)), Plan(ALWAYS)).same


@pytest.mark.parametrize("rows", [0, 1, 10**7, 10**12])
@pytest.mark.parametrize("interval", [ALWAYS, Interval(-5, 5), Interval(3 * DAY_NS + 7, 400 * DAY_NS)])
def test_segments_follow_each_other_and_are_as_many_as_there_is_work(rows, interval):
    scope = Scope((("all",), ("all",)), (False, False), ("a",), interval, DAY_NS, rows)
    parts = list(islice(scope.segments(), 1000))
    assert parts[0].start == interval.start
    assert all(one.end == other.start for one, other in pairwise(parts))
    assert all(part.end % DAY_NS == 0 for part in parts[:-1])
    if len(parts) < 1000:
        assert parts[-1].end == interval.end
        assert len(parts) <= max(2, rows // 1_000_000)


def test_samples_at_both_ends_of_time():
    ends = batch(sample(MIN_TIME), sample(LAST_TIME))
    assert LAST_TIME < MAX_TIME
    sides = side("one", ALL, all=ends), side("other", ALL)
    assert verify(sides, Plan(ALWAYS)).only == [2, 0]
    assert mended(sides, 1).same
