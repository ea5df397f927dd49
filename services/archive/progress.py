"""Long work in a thread, as a stream of lines: how far it is, then what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from archiver.model import BackpressureError, ForebayError
from services.common.problems import document_of

_LOG = logging.getLogger(__name__)
_MOST = 8
_RETRY_S = 30.0
Line = dict[str, Any]
_places = threading.BoundedSemaphore(_MOST)


@contextlib.contextmanager
def one_of_few() -> Iterator[None]:
    """Lend one of the places for work that somebody waits for, which holds a thread for as long as it takes.

    Raises
    ------
    BackpressureError
        All are taken.
    """
    if not _places.acquire(blocking=False):
        raise BackpressureError(
            f"{_MOST} copies or comparisons are under way: ask for a job, with Prefer: respond-async", _RETRY_S
        )
    try:
        yield
    finally:
        _places.release()


async def lines_of(work: Callable[[Callable[[int, int], None]], Line]) -> AsyncIterator[bytes]:
    """Yield NDJSON: ``{"done": 3, "total": 10}`` while it runs, at last its result, or a problem.

    The work goes on when nobody reads any more. Who reads holds no thread.

    Parameters
    ----------
    work : callable
        Called with what takes the progress; returns the result as plain values.
    """
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Line | None]()

    def put(line: Line | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever read
            loop.call_soon_threadsafe(queue.put_nowait, line)

    def run() -> None:
        try:
            with one_of_few():
                put(work(lambda done, total: put({"done": done, "total": total})))
        except ForebayError as exc:
            put(document_of(exc))
        except Exception:  # noqa: BLE001 - the status is sent already: the last line has to say it
            _LOG.exception("a long request failed")
            put(document_of(ForebayError("an unexpected error; the log of the server says more")))
        finally:
            put(None)

    threading.Thread(target=run, name="long-request", daemon=True).start()
    while (line := await queue.get()) is not None:
        yield json.dumps(line).encode() + b"\n"
