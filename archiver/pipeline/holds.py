"""Who else reads the journal, besides the lanes, and how far he has come: the journal keeps what he has not seen."""

from __future__ import annotations

import json
import threading

from archiver.pipeline.store import Snapshots

_FULLNESS = 0.5
_NAME = "holds"


class Holds:
    """Named places in the journal that count over restarts, too.

    One who reads along must not stop the intake: where the journal is more than half full, it is trimmed all the same,
    and he finds a gap.

    Parameters
    ----------
    snapshots : Snapshots
    stream : str
        Of the journal.
    """

    def __init__(self, snapshots: Snapshots, stream: str) -> None:
        self._snapshots = snapshots
        self._stream = stream
        self._lock = threading.Lock()
        saved = snapshots.load(_NAME, stream)
        self._offsets: dict[str, int] = {} if saved is None else json.loads(saved[1])

    def hold(self, name: str, offset: int) -> None:
        """Keep what comes after an offset for a reader; what came before is durable with him."""
        with self._lock:
            self._keep({**self._offsets, name: offset})

    def release(self, name: str) -> None:
        """Keep nothing any more for a reader."""
        with self._lock:
            self._keep({other: offset for other, offset in self._offsets.items() if other != name})

    def bound(self, fullness: float) -> int | None:
        """Return up to which offset all have read; None where nobody holds, or the journal is too full to wait."""
        return min(self._offsets.values(), default=None) if fullness <= _FULLNESS else None

    def _keep(self, offsets: dict[str, int]) -> None:
        self._snapshots.save(_NAME, self._stream, 0, json.dumps(offsets).encode())
        self._offsets = offsets
