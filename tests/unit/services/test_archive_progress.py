"""Long work as lines, and how much of it may be under way while somebody waits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from archiver.model import BackpressureError, TransientError
from services.archive import progress
from services.archive.progress import lines_of, one_of_few


def lines(work: Callable[[Callable[[int, int], None]], dict[str, Any]]) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        return [json.loads(line) async for line in lines_of(work)]

    return asyncio.run(read())


def test_progress_then_the_result() -> None:
    def work(tell: Callable[[int, int], None]) -> dict[str, Any]:
        tell(1, 2)
        tell(2, 2)
        return {"stored": 7}

    assert lines(work) == [{"done": 1, "total": 2}, {"done": 2, "total": 2}, {"stored": 7}]


def test_what_fails_is_the_last_line() -> None:
    def work(tell: Callable[[int, int], None]) -> dict[str, Any]:
        raise TransientError("no route to host")

    assert [line["detail"] for line in lines(work)] == ["no route to host"]


def test_few_are_under_way_at_a_time() -> None:
    with ExitStack() as taken:
        for _ in range(progress._MOST):
            taken.enter_context(one_of_few())
        with pytest.raises(BackpressureError, match="respond-async"), one_of_few():
            pass
        assert [line["status"] for line in lines(lambda tell: {})] == [503]
    assert lines(lambda tell: {"fine": 1}) == [{"fine": 1}]


def test_work_goes_on_when_nobody_reads_any_more() -> None:
    left, done = threading.Event(), threading.Event()

    def work(tell: Callable[[int, int], None]) -> dict[str, Any]:
        tell(1, 2)
        assert left.wait(60)
        tell(2, 2)
        done.set()
        return {}

    async def leave() -> None:
        reading = lines_of(work)
        await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave())
    left.set()
    assert done.wait(60)
