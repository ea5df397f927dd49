"""A stream read ahead by a thread of its own, so that parts of an answer are read at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from threading import Condition, Thread

from archiver.model import SampleBatch

DEPTH = 2


class Prefetched(Iterator[SampleBatch]):
    """An iterator whose source runs ahead, by at most `DEPTH` batches.

    The thread starts at once, and has ended when the last batch was taken, or when `close` returns. What the
    source raises, the iterator raises in its place.
    """

    def __init__(self, source: Generator[SampleBatch, None, None], name: str) -> None:
        self._source = source
        self._ready: deque[SampleBatch | BaseException | None] = deque()
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._run, name=f"query {name}", daemon=True)
        self._thread.start()

    def __next__(self) -> SampleBatch:
        with self._changed:
            if self._closed:
                raise StopIteration
            self._changed.wait_for(lambda: self._ready)
            item = self._ready.popleft()
            self._changed.notify_all()
        if isinstance(item, SampleBatch):
            return item
        self.close()
        if item is None:
            raise StopIteration
        raise item

    def close(self) -> None:
        """Stop reading; wait until the batch that is being read has come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._ready.clear()

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

    def _put(self, item: SampleBatch | BaseException | None) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._ready) < DEPTH)
            if not self._closed:
                self._ready.append(item)
                self._changed.notify_all()
            return not self._closed
