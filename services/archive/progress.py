"""Long work in a thread, as a stream of lines: how far it is, then what came of it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from archiver.model import ForebayError
from services.common.problems import document_of

_LOG = logging.getLogger(__name__)
Line = dict[str, Any]


def lines_of(work: Callable[[Callable[[int, int], None]], Line]) -> Iterator[bytes]:
    """Yield NDJSON: ``{"done": 3, "total": 10}`` while it runs, at last its result, or a problem.

    The work goes on when nobody reads any more.

    Parameters
    ----------
    work : callable
        Called with what takes the progress; returns the result as plain values.
    """
    queue: SimpleQueue[Line | None] = SimpleQueue()

    def run() -> None:
        try:
            queue.put(work(lambda done, total: queue.put({"done": done, "total": total})))
        except ForebayError as exc:
            queue.put(document_of(exc))
        except Exception:  # noqa: BLE001 - the status is sent already: the last line has to say it
            _LOG.exception("a long request failed")
            queue.put(document_of(ForebayError("an unexpected error; the log of the server says more")))
        finally:
            queue.put(None)

    threading.Thread(target=run, name="long-request", daemon=True).start()
    while (line := queue.get()) is not None:
        yield json.dumps(line).encode() + b"\n"
