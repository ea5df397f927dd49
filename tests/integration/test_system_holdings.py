"""What an answer lacks is known from the lanes: retention, the journal, a backend that came late, left, or lost all."""

from __future__ import annotations

import threading

import numpy as np

from archiver.model import BackpressureError, Interval, SampleBatch, StoppedError, TransientError
from archiver.model.holding import Cause
from archiver.model.time import DAY_NS, NANOSECONDS, now
from archiver.query import Query
from archiver.testing.faults import FaultyBackend
from archiver.testing.patience import SOON_S
from archiver.testing.service import until

LANE = {"flush_interval": "20ms", "retry_first": "10ms", "retry_longest": "50ms"}
LAKE = {"name": "lake", "kind": "parquet", "lane": LANE}
WARM = {"name": "warm", "kind": "sql", "url": "sqlite:///warm.db", "lane": LANE}
NEWEST = now()


def fill(archive, *ago_s, element="a"):
    """Send samples whose source times lie so many seconds before now, and have them written."""
    times = [NEWEST - round(seconds * NANOSECONDS) for seconds in sorted(ago_s, reverse=True)]
    archive.intake.submit(SampleBatch.from_columns(element, times, np.arange(float(len(times))))).result()


def is_taken(archive, batch):
    try:
        return bool(archive.intake.submit(batch).result())
    except BackpressureError:
        return False


def answer_of(archive, **how):
    answer = archive.query(Query(("a",), Interval(NEWEST - 40 * DAY_NS, NEWEST + NANOSECONDS), **how))
    rows = sum(batch.num_rows for batch in answer.rows)
    return answer, rows


def causes(answer):
    return [(missing.backend, missing.cause) for missing in answer.missing]


def test_what_retention_dropped_is_missing_unless_another_backend_keeps_it(make_archive):
    groups = [
        {"name": "short", "elements": ["*"], "backends": ["warm"], "retention": "2d"},
        {"name": "long", "elements": ["a*"], "backends": ["lake"]},
    ]
    with make_archive(backends=[WARM, LAKE], groups=groups) as archive:
        fill(archive, 5 * 86_400, 10)
        assert archive.flush()
        archive.keep()
        alone, rows = answer_of(archive, backend="warm")
        assert (rows, causes(alone)) == (1, [("warm", Cause.RETENTION)])
        both, rows = answer_of(archive)
        assert (rows, both.complete) == (2, True)
        assert {part.backend for part in both.parts if part.rows} == {"lake", "warm"}


def test_a_backend_that_comes_later_is_not_asked_for_what_was_before(make_archive):
    groups = [{"name": "all", "elements": ["*"], "backends": ["lake"]}]
    with make_archive(backends=[LAKE], groups=groups) as archive:
        fill(archive, 86_400, 60)
        assert archive.flush()
        archive.keep()  # the journal has none of it any more
        groups[0]["backends"] = ["warm", "lake"]
        settings = make_archive(backends=[WARM, LAKE], groups=groups).settings
        archive.reload(settings)
        assert archive.wait_ready()
        fill(archive, 0)
        assert archive.flush()
        whole, rows = answer_of(archive)
        assert (rows, whole.complete) == (3, True)
        alone, rows = answer_of(archive, backend="warm")
        assert (rows, causes(alone)) == (1, [("warm", Cause.NOT_YET)])
        archive.copy("lake", "warm", Interval(NEWEST - 40 * DAY_NS, NEWEST + 2 * 3600 * NANOSECONDS))
        filled, rows = answer_of(archive, backend="warm")
        assert (rows, filled.complete) == (3, True)
        groups[0]["backends"] = ["lake"]
        archive.reload(make_archive(backends=[LAKE], groups=groups).settings)
        assert archive.wait_ready()
        assert answer_of(archive)[0].complete


def test_what_only_a_removed_backend_holds_is_missing(make_archive):
    groups = [{"name": "all", "elements": ["*"], "backends": ["lake"]}]
    with make_archive(backends=[LAKE], groups=groups) as archive:
        fill(archive, 86_400, 60)
        assert archive.flush()
        archive.keep()
        groups[0]["backends"] = ["warm"]
        archive.reload(make_archive(backends=[WARM], groups=groups).settings)
        assert archive.wait_ready()
        answer, rows = answer_of(archive)
        assert rows == 0
        assert not answer.complete
        assert "lake holds it, and is not in the configuration any more" in answer.missing[0].reason


def test_what_the_journal_dropped_is_missing_from_the_backend_that_was_out(make_archive):
    taps = {}

    def wrap(backend):
        taps[backend.name] = FaultyBackend(backend)
        return taps[backend.name]

    journal = {"max_bytes": 100_000, "when_full": "drop_oldest"}
    backends = [{**WARM, "kind": "memory"}, {**LAKE, "kind": "memory"}]
    for backend in backends:
        backend.pop("url", None)
    with make_archive(wrap=wrap, backends=backends, journal=journal) as archive:
        assert archive.wait_ready()
        taps["warm"].faults.outage = True
        times = NEWEST - 86_400 * NANOSECONDS + np.arange(14_000) * NANOSECONDS
        random = np.random.default_rng(1)
        for start in range(0, len(times), 500):
            part = SampleBatch.from_columns("a", times[start : start + 500], random.normal(size=500))
            until(lambda part=part: is_taken(archive, part))
        until(lambda: archive.ledger.position("warm", f"{archive.journal.stream}/dropped"))
        taps["warm"].faults.outage = False
        until(archive.flush)
        alone, rows = answer_of(archive, backend="warm")
        assert rows < len(times)
        assert causes(alone) == [("warm", Cause.DROPPED)]
        (missing,) = alone.missing
        kept = times[(times < missing.interval.start) | (times >= missing.interval.end)]
        assert rows == len(kept)
        whole, rows = answer_of(archive, complete=True)
        assert (rows, whole.complete) == (len(times), True)


def test_a_backend_that_lost_everything_says_so(make_archive, tmp_path):
    for _ in range(2):
        with make_archive(backends=[{"name": "lake", "kind": "memory"}]) as archive:
            fill(archive, 60)
            assert archive.flush()
            archive.keep()
    with make_archive(backends=[{"name": "lake", "kind": "memory"}]) as archive:
        assert archive.wait_ready()
        assert causes(answer_of(archive)[0])[0] == ("", Cause.LOST)


def test_what_a_backend_refused_is_missing_from_it(make_archive):
    with make_archive(backends=[LAKE, WARM]) as archive:
        fill(archive, 60)
        assert archive.flush()
        odd = SampleBatch.from_columns("a", [NEWEST], ["x"])
        archive.dead_letters.add("lake", "all", "as the test asked for", odd)
        alone, _ = answer_of(archive, backend="lake")
        assert causes(alone) == [("lake", Cause.DEAD_LETTERED)]
        assert answer_of(archive)[0].complete
        archive.dead_letters.mark_replayed(1)
        assert answer_of(archive, backend="lake")[0].complete


def test_the_plan_says_what_it_will_cost_after_it_was_asked_once(make_archive):
    with make_archive(backends=[LAKE, WARM]) as archive:
        fill(archive, *range(1000))
        assert archive.flush()
        question = Query(("a",), Interval(NEWEST - DAY_NS, NEWEST + 1))
        before = archive.plan(question)
        assert (before["rows"], before["seconds"]) == (1000, None)
        assert (before["steps"][0]["backend"], before["steps"][0]["stand_by"]) == ("lake", ["warm"])
        answer_of(archive)
        assert archive.plan(question)["seconds"] > 0
    with make_archive(backends=[LAKE, WARM]) as archive:
        assert archive.wait_ready()
        assert archive.plan(question)["seconds"] > 0


def test_cancelling_reaches_a_statement_of_postgresql(make_archive, postgresql):
    import psycopg

    prefix = f"c{now() % 10**9}_"
    warm = {"name": "warm", "kind": "sql", "url": postgresql.url, "prefix": prefix, "lane": LANE}
    with make_archive(backends=[warm]) as archive, psycopg.connect(postgresql.url, autocommit=False) as other:
        fill(archive, 60)
        assert archive.flush()
        assert answer_of(archive)[1] == 1
        tables = other.execute(
            "SELECT tablename FROM pg_tables WHERE tablename ~ %s", [f"^{prefix}samples?_"]
        ).fetchall()
        names = ", ".join(name for (name,) in tables)
        other.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")  # type: ignore[arg-type]
        answer = archive.query(Query(("a",), Interval(NEWEST - DAY_NS, NEWEST + 1)))
        errors: list[BaseException] = []

        def consume():
            try:
                list(answer.rows)
            except (StoppedError, TransientError) as exc:
                errors.append(exc)

        reader = threading.Thread(target=consume)
        reader.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with psycopg.connect(postgresql.url, autocommit=True) as watch:
            while watch.execute(waiting).fetchone() == (0,):
                assert reader.is_alive()
            answer.cancel()
            reader.join(SOON_S)
            assert not reader.is_alive()
            until(lambda: watch.execute(waiting).fetchone() == (0,))
        assert [type(error) for error in errors] == [StoppedError]
