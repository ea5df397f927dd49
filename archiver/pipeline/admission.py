"""What the intake decides by element name alone, decided once per name and kept as columns."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.routing import Router

LONGEST_NAME = 1024
REASONS = ("", "bad element name", "no archive group takes it", "unknown element")
"""Why a name is refused; the first one is that it is not."""


class Admission:
    """Verdicts on names, for one router and one state of the catalogue.

    Parameters
    ----------
    catalog : Catalog
    router : Router

    Notes
    -----
    A name has a slot; `slots` gives them for the names of a batch, and `reason`, `retention` and `kind` are indexed
    by slot. Looking a known name up is all that a batch costs.
    """

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self.router = router
        self.version = catalog.version
        self._catalog = catalog
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._last: tuple[list[str], NDArray[np.int32]] = ([], np.zeros(0, np.int32))
        self.reason = np.zeros(0, np.uint8)
        self.retention = np.zeros(0, np.int64)
        self.kind = np.zeros(0, np.int16)

    def slots(self, batch: SampleBatch) -> NDArray[np.int32]:
        """Return the slot of each name in the batch's dictionary, int32."""
        names = batch.elements
        before, slots = self._last
        if names is not before:  # a source may give the very same list with each batch
            try:
                slots = np.fromiter(map(self._slots.__getitem__, names), np.int32, len(names))
            except KeyError:
                self._add([name for name in names if name not in self._slots])
                slots = np.fromiter(map(self._slots.__getitem__, names), np.int32, len(names))
            self._last = names, slots
        return slots

    def register(self, kinds: Mapping[str, Kind]) -> None:
        """Tell the catalogue about names, and kinds, that were seen for the first time; it has the last word."""
        with self._lock:
            self._catalog.register(kinds)
            slots = [self._slots[name] for name in kinds]
            self.kind[slots] = np.maximum(self._catalog.kinds(list(kinds)), 0)

    def _add(self, names: list[str]) -> None:
        with self._lock:
            fresh = [name for name in dict.fromkeys(names) if name not in self._slots]
            known = self._catalog.kinds(fresh)
            verdicts = [self._judge(name, int(kind)) for name, kind in zip(fresh, known, strict=True)]
            self.reason = np.append(self.reason, np.array([reason for reason, _ in verdicts], np.uint8))
            self.retention = np.append(self.retention, np.array([keep for _, keep in verdicts], np.int64))
            self.kind = np.append(self.kind, known)
            first = len(self._slots)
            self._slots.update({name: first + index for index, name in enumerate(fresh)})

    def _judge(self, name: str, kind: int) -> tuple[int, int]:
        """Return the reason to refuse a name, and the longest retention of its groups in ns (0 is for ever)."""
        if not name or len(name) > LONGEST_NAME or "\x00" in name:
            return 1, 0
        groups = [self.router.groups[group] for group in self.router.groups_of(name)]
        if not groups:
            return 2, 0
        if kind < 0 and all(group.known_only for group in groups):
            return 3, 0
        keeps = [group.retention_ns for group in groups]
        return 0, 0 if 0 in keeps else max(keeps)
