"""Who is asked for what, by what backends hold, how well they are and what they cost; and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.backends.memory import MemoryBackend
from archiver.model import IncompleteError, Interval, SampleBatch, TransientError
from archiver.model.holding import Cause, Holding, Lack, without
from archiver.model.time import ALWAYS
from archiver.ports import BackendContext, Options
from archiver.query import Costs, Known, Missing, Query, Range, Role, execute, plan
from archiver.query.limits import Limits
from archiver.testing.patience import SOON_S

NEVER_LATE = Limits(hedge_s=SOON_S)
LACK = Lack(Interval(0, 50), Cause.RETENTION, "dropped: the retention of group hot is 1d")


def hold(backend, *lacks, thinned=False, configured=True):
    held = [ALWAYS]
    for lack in lacks:
        held = without(held, lack.interval)
    spans = ((), tuple(held)) if thinned else (tuple(held), ())
    return Holding(backend, *spans, tuple(lacks), configured)


def known(*holdings, **how):
    return Known(lambda elements, groups: [(holdings, list(elements))], **how)


def memory(*times):
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    if times:
        backend.write({"g": SampleBatch.from_columns("a", list(times), [float(time) for time in times])})
    return backend


def readers(*names):
    return {name: memory(10, 60) for name in names}


def placed(planned):
    return [(step.interval.start, step.interval.end, step.backends) for step in planned.steps]


def query(start=0, end=100, **how):
    return Query(("a",), Interval(start, end), **how)


def test_time_is_cut_where_what_a_backend_holds_changes():
    about = known(hold("hot", LACK), hold("lake"))
    planned = plan(query(), readers("hot", "lake"), known=about)
    assert placed(planned) == [(0, 50, ("lake", "hot")), (50, 100, ("hot", "lake"))]
    assert planned.missing == ()
    assert "dropped" in planned.steps[0].why


def test_what_a_smoothing_left_stands_by_and_says_so():
    about = known(hold("lake", thinned=True), hold("warm"))
    sources = {"lake": memory(10), "warm": memory(10, 60)}
    assert placed(plan(query(), sources, known=about)) == [(0, 100, ("warm", "lake"))]
    sources["warm"] = Dead()
    answer = execute(query(), sources, known=about)
    assert answer.table().num_rows == 1
    assert not answer.complete
    assert [(m.backend, m.cause) for m in answer.missing] == [("lake", Cause.SMOOTHED)]


def test_where_all_lack_some_all_are_read_and_it_is_told():
    first, second = (Lack(Interval(0, 50), cause, f"{cause}") for cause in (Cause.DROPPED, Cause.LOST))
    sources = {"lake": memory(10, 60), "warm": memory(20, 60)}
    answer = execute(query(), sources, known=known(hold("lake", first), hold("warm", second)))
    assert answer.table()["source_time"].to_pylist() == [10, 20, 60]
    (missing,) = answer.missing
    assert (missing.interval, missing.cause) == (Interval(0, 50), Cause.DROPPED)
    assert "lake: dropped-from-journal; warm: backend-lost-it" in missing.reason


def test_what_only_a_removed_backend_held_is_missing():
    since = Lack(Interval(ALWAYS.start, 50), Cause.NOT_YET, "it has everything from then on only")
    about = known(hold("old", configured=False), hold("warm", since))
    planned = plan(query(), readers("warm"), known=about)
    assert placed(planned) == [(0, 50, ("warm",)), (50, 100, ("warm",))]
    assert [(m.interval, m.cause) for m in planned.missing] == [(Interval(0, 50), Cause.NOT_YET)]
    assert "old holds it" in planned.missing[0].reason
    alone = plan(query(), readers("warm"), known=known(hold("old", configured=False)))
    assert [m.cause for m in alone.missing] == [Cause.REMOVED]


def test_a_range_that_its_backend_does_not_hold_is_missing_unless_another_range_gives_it():
    about = known(hold("hot", LACK), hold("lake"))
    named = Range("hot", Interval(0, 100))
    planned = plan(query(ranges=(named,)), readers("hot", "lake"), known=about)
    assert planned.missing == (Missing(Interval(0, 50), "hot", LACK.reason, (), Cause.RETENTION),)
    both = plan(query(ranges=(named, Range("lake", Interval(0, 40)))), readers("hot", "lake"), known=about)
    assert [missing.interval for missing in both.missing] == [Interval(40, 50)]
    whole = plan(query(backend="hot"), readers("hot", "lake"), known=about)
    assert [missing.interval for missing in whole.missing] == [Interval(0, 50)]
    other = plan(query(backend="warm"), readers("warm", "lake"), known=known(hold("lake")))
    assert [missing.cause for missing in other.missing] == [Cause.NOT_STORED]


def test_the_healthy_come_first_and_then_the_quick_in_doublings():
    costs = Costs()
    about = known(hold("lake"), hold("warm"), costs=costs)
    sources = readers("lake", "warm")
    assert plan(query(), sources, known=about).backends == ("lake",)
    costs.learn("lake", 0.010, 100, 0.010)
    costs.learn("warm", 0.008, 100, 0.008)
    assert plan(query(), sources, known=about).backends == ("lake",)  # about as quick: the first configured
    for _ in range(20):
        costs.learn("warm", 0.001, 100, 0.001)
    assert plan(query(), sources, known=about).backends == ("warm",)
    costs.shun("warm")
    assert plan(query(), sources, known=about).backends == ("lake",)
    ill = known(hold("lake"), hold("warm"), healthy=lambda name: name != "lake")
    assert plan(query(), sources, known=ill).backends == ("warm",)


def test_what_was_learnt_survives_and_estimates_the_next_answer():
    costs = Costs()
    costs.learn("lake", 0.5, 100_000, 1.0)
    again = Costs(costs.dump())
    assert again.of("lake") == costs.of("lake")
    about = known(hold("lake"), costs=again, amount=lambda name, interval: (200_000.0, interval))
    document = plan(query(), readers("lake"), known=about).to_dict(about)
    assert (document["rows"], document["seconds"], document["complete"]) == (200_000, 2.5, True)
    assert document["steps"][0]["why"] == "it alone stores it"


def test_the_last_value_before_comes_from_whoever_holds_that_time():
    late = Lack(Interval(ALWAYS.start, 50), Cause.NOT_YET, "since later")
    sources = {"warm": memory(60), "lake": memory(10, 60)}
    answer = execute(query(55, 100, before=1), sources, known=known(hold("warm", late), hold("lake")))
    assert answer.table()["source_time"].to_pylist() == [10, 60]


class Dead:
    """Refuses everything."""

    def read(self, elements, interval, **how):
        raise TransientError("connection refused")
        yield

    def last_before(self, elements, time, **how):
        raise TransientError("connection refused")

    def elements(self):
        raise TransientError("connection refused")

    def coverage(self):
        raise TransientError("connection refused")


def test_a_complete_answer_is_required_before_reading_and_while():
    about = known(hold("hot", LACK))
    with pytest.raises(IncompleteError, match="retention") as before:
        execute(query(complete=True), readers("hot"), known=about)
    assert before.value.missing[0]["cause"] == "retention"
    answer = execute(query(complete=True), {"hot": Dead(), "lake": memory(10)}, known=known(hold("hot")))
    with pytest.raises(IncompleteError, match="connection refused"):
        answer.table()
    sources = {"hot": Dead(), "lake": memory(10)}
    whole = execute(query(complete=True), sources, known=known(hold("hot"), hold("lake")), limits=NEVER_LATE)
    assert whole.table().num_rows == 1
    assert [(part.backend, part.role) for part in whole.parts] == [("hot", Role.FIRST), ("lake", Role.STAND_BY)]


def test_why_it_is_out_is_told_with_how_far_its_lane_is_behind():
    about = known(hold("hot"), trouble=lambda name: "its lane is behind since yesterday")
    sources = {"hot": Dead(), "lake": memory(10)}
    ranges = (Range("hot", Interval(0, 50)), Range("lake", Interval(50, 100)))
    answer = execute(query(ranges=ranges), sources, known=about)
    answer.table()
    assert [m.reason for m in answer.missing if m.backend == "hot"] == [
        "connection refused; its lane is behind since yesterday"
    ]


def test_a_part_of_few_rows_is_not_judged_by_what_large_ones_took():
    costs = Costs()
    costs.learn("lake", 0.2, 1_000_000, 0.5)
    assert costs.seconds("lake", 100) > 0.2  # as long as nothing else is known
    costs.learn("lake", 0.001, 100, 0.001)
    costs.learn("lake", 0.2, 1_000_000, 0.5)
    assert costs.seconds("lake", 100) < 0.002
    assert costs.seconds("lake", 1_000_000) == 0.501
    costs.learn("lake", 1.0, 100, 1.0)
    assert costs.seconds("lake", 100) < 0.002  # once is bad luck
    for _ in range(50):
        costs.learn("lake", 1.0, 100, 1.0)
    assert costs.seconds("lake", 100) > 0.5
    assert Costs(costs.dump()).of("lake") == costs.of("lake")
