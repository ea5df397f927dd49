"""The contract suite of sources: what every `archiver.ports.Source` is held to.

A distribution with a source of its own subclasses it in a test module, with one fixture::

    class TestMySource(SourceContract):
        @pytest.fixture
        def harness(self, tmp_path):
            return SourceHarness(lambda: MySource("mine", MyOptions(...)))

What it reads must give samples soon, and go on giving them until it is stopped, or to an end of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from archiver.model import BackpressureError, ForebayError, Kind, Metadata, PermanentError, SampleBatch, Status
from archiver.model.identity import number_equals
from archiver.model.time import now
from archiver.ports import Options, Push, Source
from archiver.testing.patience import SOON_S

_SEVERAL, _ALL = 5, 2**31
T = TypeVar("T")


@dataclass(frozen=True)
class SourceHarness:
    """What the suite needs of a kind of source.

    Parameters
    ----------
    create : callable
        Gives a new source; each reads the same origin, as after a restart.
    broken : callable, optional
        Gives one whose origin is not there, or fails in part; left out where nothing of it can fail.
    ends : bool
        Whether `run` returns by itself, since the origin has an end: then a new one begins from its start, or from
        where the last one was, and the archive has all of it once in either case.
    """

    create: Callable[[], Source]
    broken: Callable[[], Source] | None = None
    ends: bool = False


class Sink:
    """Takes what a source pushes, or answers as it is told to.

    Parameters
    ----------
    enough : int
        After so many pushes `reached` is set.
    answers : sequence of exception
        Raised by the first pushes, one each.
    """

    def __init__(self, enough: int, answers: Sequence[Exception] = ()) -> None:
        self.pushed: list[SampleBatch] = []
        self.reached = asyncio.Event()
        self._enough, self._answers = enough, answers

    async def push(self, batch: SampleBatch) -> None:
        """Take a batch, or raise."""
        self.pushed.append(batch)
        if len(self.pushed) >= self._enough:
            self.reached.set()
        if len(self.pushed) <= len(self._answers):
            raise self._answers[len(self.pushed) - 1]
        await asyncio.sleep(0)

    @property
    def taken(self) -> list[SampleBatch]:
        """What was pushed and not refused."""
        return self.pushed[len(self._answers) :]


class SourceContract:
    """All of it; a subclass overrides `harness`."""

    @pytest.fixture
    def harness(self) -> SourceHarness:
        """Return the harness of the kind of source under test."""
        raise NotImplementedError("give the contract suite a `harness` fixture: a SourceHarness")

    def test_it_is_a_source(self, harness: SourceHarness) -> None:
        """The verb is there, it has a name, and the class says which options it takes."""
        source = harness.create()
        assert isinstance(source, Source)
        assert issubclass(source.Options, Options)
        assert source.name

    # -- what it gives --------------------------------------------------------------------------------

    def test_samples_can_be_told_apart(self, harness: SourceHarness) -> None:
        """Each has a name and a time that can be, and no two of a run are of one element, time and number."""
        batches = collect(harness)
        assert batches
        assert all(batch.num_rows for batch in batches)
        rows = _identities(batches)
        assert len(rows) == len(set(rows))
        assert all(element and element.isprintable() for element, *_ in rows)
        latest = max(time for _, time, _ in rows)
        assert latest <= now(), "a sample is of the future"

    def test_what_is_described_has_its_kind(self, harness: SourceHarness) -> None:
        """Where it knows more of its elements (`metadata`), their values are what it says."""
        described: dict[str, Metadata] = getattr(harness.create(), "metadata", {})
        kinds = {element: kind for batch in collect(harness) for element, *_, kind, _ in batch.to_pylist()}
        wrong = {
            name: (kind, described[name].kind)
            for name, kind in kinds.items()
            if name in described and kind is not Kind.NONE and described[name].kind not in (Kind.NONE, kind)
        }
        assert not wrong

    def test_a_restart_doubles_nothing(self, harness: SourceHarness) -> None:
        """What comes again after a restart is the same sample, so that the archive has it once; nothing is left out."""
        first, second = collect(harness, 2), collect(harness)
        assert _conflicts(first + second) == []
        if harness.ends:
            assert set(_identities(first + second)) == set(_identities(collect(harness)))

    # -- what it does when it is not answered well ------------------------------------------------------

    def test_what_was_not_taken_is_pushed_again(self, harness: SourceHarness) -> None:
        """While the archive is full the same batch comes again, and then the next: nothing is lost on the way."""
        refused = [BackpressureError("full", retry_after_s=0.0)] * 3

        async def work() -> Sink:
            sink = Sink(_ALL if harness.ends else _SEVERAL, refused)
            await run_until_reached(harness.create(), sink)
            return sink

        sink = in_loop(work())
        assert all(batch == sink.pushed[0] for batch in sink.pushed[: len(refused) + 1])
        if harness.ends:
            assert set(_identities(sink.taken)) == set(_identities(collect(harness)))

    def test_an_error_of_the_archive_is_not_swallowed(self, harness: SourceHarness) -> None:
        """Whatever else a push raises ends `run` with it: whoever runs the source tells of it and starts it again."""

        async def work() -> None:
            with pytest.raises(PermanentError, match="the disk is gone"):
                await asyncio.wait_for(harness.create().run(Sink(9, [PermanentError("the disk is gone")]).push), SOON_S)

        in_loop(work())

    def test_an_origin_that_fails_is_reported(self, harness: SourceHarness) -> None:
        """As an error that says what is wrong, or as samples with the status of a lost connection; never by silence."""
        if harness.broken is None:
            pytest.skip("nothing of this source can fail")
        source = harness.broken()

        async def work() -> tuple[str, list[SampleBatch]]:
            sink = Sink(1)
            try:
                await run_until_reached(source, sink)
            except ForebayError as exc:
                return str(exc), sink.pushed
            return "", sink.pushed

        said, batches = in_loop(work())
        lost = [row for batch in batches for row in batch.to_pylist() if row[4] & Status.DISCONNECTED]
        assert said or lost, "neither an error nor a sample says so"
        assert {row[6] for row in lost} <= {None}, "a lost connection has no value"

    # -- how it ends ----------------------------------------------------------------------------------

    def test_it_stops_when_cancelled(self, harness: SourceHarness) -> None:
        """At once, and pushes nothing afterwards."""

        async def work() -> None:
            sink = Sink(1)
            await run_until_reached(harness.create(), sink)
            count = len(sink.pushed)
            await asyncio.sleep(0.05)
            assert len(sink.pushed) == count

        in_loop(work())

    def test_it_stops_while_the_archive_takes_its_time(self, harness: SourceHarness) -> None:
        """A push that never returns holds up nothing."""

        async def work() -> None:
            reached = asyncio.Event()

            async def push(batch: SampleBatch) -> None:
                reached.set()
                await asyncio.Event().wait()

            await run_until(harness.create(), push, reached)

        in_loop(work())


def collect(harness: SourceHarness, pushes: int = 0) -> list[SampleBatch]:
    """Return what a new source pushes in so many pushes or more; with 0 all of it if it ends, else in several."""

    async def work() -> list[SampleBatch]:
        sink = Sink(pushes or (_ALL if harness.ends else _SEVERAL))
        await run_until_reached(harness.create(), sink)
        return sink.pushed

    return in_loop(work())


async def run_until_reached(source: Source, sink: Sink) -> None:
    """Run a source until the sink has enough of it or it ends, and stop it."""
    await run_until(source, sink.push, sink.reached)


async def run_until(source: Source, push: Push, reached: asyncio.Event) -> None:
    """Run a source until an event or its end, and stop it; raises what it raises."""
    running, waiting = asyncio.ensure_future(source.run(push)), asyncio.ensure_future(reached.wait())
    done, _ = await asyncio.wait({running, waiting}, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, waiting):
        task.cancel()
    _, late = await asyncio.wait({running, waiting}, timeout=SOON_S)
    if late:
        running.cancel()
        await asyncio.wait(late, timeout=SOON_S)
    assert done, f"it pushed too little in {SOON_S} s"
    assert not late, f"it still runs {SOON_S} s after it was cancelled"
    if not running.cancelled():
        running.result()


def in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine gives, run in a loop of its own."""
    return asyncio.run(work)


def _identities(batches: Iterable[SampleBatch]) -> list[tuple[str, int, int]]:
    """Return element, source time and number of all samples, numbered within a batch as the intake does."""
    return [row[:3] for batch in batches for row in number_equals(batch).to_pylist()]


def _conflicts(batches: Iterable[SampleBatch]) -> list[tuple[str, int, int]]:
    """Return the identities that came with two contents."""
    found: dict[tuple[str, int, int], str] = {}
    rows = [row for batch in batches for row in number_equals(batch).to_pylist()]
    return [row[:3] for row in rows if found.setdefault(row[:3], repr(row[4:])) != repr(row[4:])]
