"""A stream read ahead by a thread of its own, so that parts of an answer are read at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from threading import Condition, Thread
from typing import TypeVar

from archiver.model import LimitError, StoppedError
from archiver.model.interruption import Interruption

Item = TypeVar("Item")
DEPTH = 2
TOO_LONG = "the answer takes longer than one may (query.max_time): ask for less at a time"


class Prefetched(Iterator[Item]):
    """An iterator whose source runs ahead, by at most `DEPTH` batches.

    The thread starts at once, and has ended when the last batch was taken, or when `close` returns. What the
    source raises, the iterator raises in its place.

    Parameters
    ----------
    source : generator
    name : str
        Of the thread.
    interruption : Interruption, optional
        What the source reads under: once it is set nobody waits here any more.
    on_first : callable, optional
        Called by the thread when there is something to take, or the source has ended.
    left_s : callable, optional
        Gives how many seconds anybody may wait, None for as long as it takes.
    """

    def __init__(
        self,
        source: Generator[Item, None, None],
        name: str,
        interruption: Interruption | None = None,
        on_first: Callable[[], object] = lambda: None,
        left_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._source = source
        self._ready: deque[Item | BaseException | None] = deque()
        self._changed = Condition()
        self._closed = False
        self._interruption = interruption or Interruption()
        self._on_first = on_first
        self._left_s = left_s
        self._thread = Thread(target=self._run, name=f"query {name}", daemon=True)
        self._thread.start()

    def __next__(self) -> Item:
        item = None if self._closed else self._take()
        if item is not None and not isinstance(item, BaseException):
            return item
        self._closed = True
        self._thread.join()
        if item is None:
            raise StopIteration
        raise item

    def _take(self) -> Item | BaseException | None:
        with self._interruption.stopping(self._wake), self._changed:
            if not self._changed.wait_for(lambda: self._ready or self._interruption.is_set, self._left_s()):
                raise LimitError(TOO_LONG)
            if not self._ready:
                raise StoppedError("the reader went away")
            item = self._ready.popleft()
            self._changed.notify_all()
            return item

    @property
    def has_come(self) -> bool:
        """Whether there is something to take, be it the end or an error."""
        return bool(self._ready)

    @property
    def failure(self) -> BaseException | None:
        """What the source raises before its next batch, None if it does not or nothing has come."""
        with self._changed:
            first = self._ready[0] if self._ready else None
        return first if isinstance(first, BaseException) else None

    def close(self) -> None:
        """Stop reading; wait until the backend has heeded it, or the batch that is being read has come."""
        self.abandon()
        self._thread.join()
        self._ready.clear()

    def abandon(self) -> None:
        """Stop reading, without waiting for that: the thread ends when its backend lets go of it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._interruption.set()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            for batch in self._source:
                if not self._put(batch):
                    self._source.close()
                    return
        except BaseException as exc:  # noqa: BLE001 - handed to the consumer, who raises it
            end = exc
        self._put(end)

    def _put(self, item: Item | BaseException | None) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._ready) < DEPTH)
            if not self._closed:
                self._ready.append(item)
                self._changed.notify_all()
            put = not self._closed
        self._on_first()
        return put
