"""A backend that is late is hedged; whoever lost, and whoever nobody waits for any more, is stopped."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, LimitError, QuotaError, SampleBatch, StoppedError, TransientError
from archiver.model.holding import Cause, Holding
from archiver.model.interruption import interruptible
from archiver.model.status import Status
from archiver.model.time import ALWAYS
from archiver.ports import BackendContext, Options
from archiver.query import Costs, Known, Query, Range, Role, execute
from archiver.query.limits import Callers, Limits
from archiver.testing.patience import SOON_S

QUERY = Query(("a",), Interval(0, 100))
ROWS = [10, 60]
LATE_S = 0.02


def memory(**columns):
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    backend.write({"g": SampleBatch.from_columns("a", ROWS, [1.0, 2.0], **columns)})
    return backend


def known(*names, costs=None):
    holdings = tuple(Holding(name, (ALWAYS,)) for name in names)
    return Known(lambda elements, groups: [(holdings, list(elements))], costs=costs or Costs())


class Stuck:
    """Blocks in a read until it is interrupted, as a driver does whose statement is cancelled."""

    def __init__(self, inner=None):
        self.inner = inner
        self.reading = threading.Event()
        self.stopped = threading.Event()

    def read(self, elements, interval, **how):
        with interruptible(self.stopped.set):
            self.reading.set()
            assert self.stopped.wait(SOON_S), "nobody stopped it"
            raise TransientError("canceling statement due to user request")
        yield

    def last_before(self, elements, time, **how):
        return SampleBatch.empty()


class Failing(Stuck):
    """Gives one sample, and then breaks."""

    def read(self, elements, interval, **how):
        for batch in self.inner.read(elements, interval, **how):
            yield batch.slice(0, 1)
            raise TransientError("the connection broke")


def times(answer):
    return [time for batch in answer.batches for time in batch.source_time.tolist()]


def test_the_next_backend_answers_when_the_first_is_late_and_the_first_is_stopped():
    stuck = Stuck()
    answer = execute(
        QUERY, {"slow": stuck, "quick": memory()}, known=known("slow", "quick"), limits=Limits(hedge_s=LATE_S)
    )
    assert times(answer) == ROWS
    assert stuck.stopped.wait(SOON_S)
    assert answer.complete
    assert [(part.backend, part.role, part.rows) for part in answer.parts] == [
        ("quick", Role.HEDGE, 2),
        ("slow", Role.FIRST, 0),
    ]
    assert answer.parts[1].trouble == "late: quick answered before"


def test_a_backend_that_was_late_is_not_asked_first_again(monkeypatch):
    monkeypatch.setattr("archiver.query.costs._SHUNNED_S", SOON_S)
    about = known("slow", "quick")
    sources = {"slow": Stuck(), "quick": memory()}
    assert times(execute(QUERY, sources, known=about, limits=Limits(hedge_s=LATE_S))) == ROWS
    second = execute(QUERY, sources, known=about, limits=Limits(hedge_s=SOON_S))
    assert times(second) == ROWS
    assert [(part.backend, part.role) for part in second.parts] == [("quick", Role.FIRST)]


def test_a_hedge_that_fails_leaves_the_first_to_answer():
    started = threading.Event()

    class Late(Stuck):
        def read(self, elements, interval, **how):
            assert started.wait(SOON_S)
            yield from self.inner.read(elements, interval, **how)

    class Broken(Stuck):
        def read(self, elements, interval, **how):
            started.set()
            raise TransientError("connection refused")
            yield

    sources = {"slow": Late(memory()), "broken": Broken()}
    answer = execute(QUERY, sources, known=known("slow", "broken"), limits=Limits(hedge_s=LATE_S))
    assert times(answer) == ROWS
    assert answer.complete
    assert {(part.backend, part.trouble) for part in answer.parts} == {("slow", ""), ("broken", "connection refused")}


def test_the_winner_of_a_race_may_fail_and_the_other_goes_on_exactly():
    class LateOnce(Stuck):
        def __init__(self, inner):
            super().__init__(inner)
            self.calls = 0

        def read(self, elements, interval, **how):
            self.calls += 1
            if self.calls == 1:
                yield from super().read(elements, interval, **how)
            yield from self.inner.read(elements, interval, **how)

    sources = {"slow": LateOnce(memory()), "breaks": Failing(memory())}
    answer = execute(QUERY, sources, known=known("slow", "breaks"), limits=Limits(hedge_s=LATE_S))
    assert times(answer) == ROWS
    assert answer.complete


def stopped(answer):
    """A thread that consumes an answer until it is stopped, and what it got then."""
    errors = []

    def consume():
        try:
            times(answer)
        except StoppedError as exc:
            errors.append(exc)

    reader = threading.Thread(target=consume)
    reader.start()
    return reader, errors


@pytest.mark.parametrize("names", [("slow",), ("slow", "other")])
def test_cancelling_an_answer_reaches_the_backends(names):
    sources = {name: Stuck() for name in names}
    answer = execute(QUERY, sources, known=known(*names), limits=Limits(hedge_s=LATE_S))
    reader, errors = stopped(answer)
    for source in sources.values():
        assert source.reading.wait(SOON_S)
    answer.cancel()
    reader.join(SOON_S)
    assert not reader.is_alive()
    assert len(errors) == 1
    assert all(source.stopped.wait(SOON_S) for source in sources.values())


def test_an_answer_of_several_parts_is_cancelled_in_all_of_them():
    ranges = (Range("quick", Interval(0, 50)), Range("slow", Interval(50, 100)))
    stuck = Stuck()
    sources = {"quick": memory(), "slow": stuck}
    answer = execute(Query(("a",), Interval(0, 100), ranges=ranges), sources, known=known("quick", "slow"))
    reader, errors = stopped(answer)
    assert stuck.reading.wait(SOON_S)
    answer.cancel()
    reader.join(SOON_S)
    answer.close()
    assert len(errors) == 1
    assert stuck.stopped.is_set()


def test_an_answer_that_takes_too_long_is_an_error_and_its_backend_is_stopped():
    stuck = Stuck()
    answer = execute(QUERY, {"slow": stuck}, known=known("slow"), limits=Limits(seconds=LATE_S))
    with pytest.raises(LimitError, match=r"query\.max_time"):
        times(answer)
    assert stuck.stopped.wait(SOON_S)


def test_rows_and_elements_of_a_request_are_limited():
    sources, about = {"lake": memory()}, known("lake")
    with pytest.raises(LimitError, match=r"more than 1 rows \(query\.max_rows\)"):
        times(execute(QUERY, sources, known=about, limits=Limits(rows=1)))
    page = execute(Query(("a",), Interval(0, 100), limit=1), sources, known=about, limits=Limits(rows=1))
    assert times(page) == ROWS[:1]
    with pytest.raises(LimitError, match=r"2 elements, and 1 are allowed"):
        execute(Query(("a", "b"), Interval(0, 100)), sources, known=about, limits=Limits(elements=1))


def test_a_caller_has_so_many_answers_at_a_time_and_so_many_rows_a_minute():
    callers, limits = Callers(), Limits(caller_queries=1, caller_rows_per_minute=1)
    lease = callers.admit("me", limits)
    with pytest.raises(QuotaError, match=r"query\.caller_queries"):
        callers.admit("me", limits)
    callers.admit("you", limits).close()
    answer = execute(QUERY, {"lake": memory()}, known=known("lake"), lease=lease)
    assert times(answer) == ROWS
    with pytest.raises(QuotaError, match="rows a minute") as error:
        callers.admit("me", limits)
    assert 60 < error.value.retry_after_s <= 120  # two rows, and one a minute is forgotten


@pytest.mark.parametrize("end", ["closed", "forgotten"])
def test_an_answer_that_nobody_reads_does_not_count_for_ever(end):
    callers, limits = Callers(), Limits(caller_queries=1)
    answer = execute(QUERY, {"lake": memory()}, known=known("lake"), lease=callers.admit("me", limits))
    if end == "closed":
        answer.close()
    del answer
    callers.admit("me", limits).close()


def test_a_source_that_was_disconnected_is_told_and_the_answer_is_complete_all_the_same():
    gone = memory(status=[int(Status.DISCONNECTED), 0])
    answer = execute(QUERY, {"lake": gone}, known=known("lake"), now=90)
    assert times(answer) == ROWS
    assert [(m.interval, m.elements, m.cause) for m in answer.missing] == [
        (Interval(10, 60), ("a",), Cause.DISCONNECTED)
    ]
    assert answer.complete
    still = execute(QUERY, {"lake": memory(status=[0, int(Status.DISCONNECTED)])}, known=known("lake"), now=90)
    assert times(still) == ROWS
    assert [missing.interval for missing in still.missing] == [Interval(60, 90)]
