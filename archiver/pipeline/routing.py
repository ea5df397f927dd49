"""Which samples of a batch go to which archive groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archiver.model import ArchiveGroup, SampleBatch
from archiver.model.batch import Mask


class Router:
    """Decides by element name; what was decided for a name is kept."""

    def __init__(self, groups: Mapping[str, ArchiveGroup]) -> None:
        self.groups = dict(groups)
        self._known: dict[str, tuple[str, ...]] = {}

    def groups_of(self, element: str) -> tuple[str, ...]:
        """Return the names of the groups that an element belongs to."""
        found = self._known.get(element)
        if found is None:
            found = tuple(name for name, group in self.groups.items() if group.matches(element))
            self._known[element] = found
        return found

    def for_backend(self, backend: str) -> Router:
        """Return a router over just the groups that a backend stores."""
        return Router({name: group for name, group in self.groups.items() if backend in group.backends})

    def split(self, batch: SampleBatch) -> dict[str, SampleBatch]:
        """Return the samples of each group; a sample of several groups is in each, one of none in no one."""
        parts: dict[str, SampleBatch] = {}
        memberships = [self.groups_of(name) for name in batch.elements]
        for name in self.groups:
            mask = _rows_where([name in groups for groups in memberships], batch)
            if mask.any():
                parts[name] = batch.filter(mask)
        return parts


def _rows_where(per_element: Sequence[bool], batch: SampleBatch) -> Mask:
    table = np.fromiter(per_element, bool, len(per_element))
    if table.all():
        return np.ones(batch.num_rows, bool)
    result: Mask = table[batch.codes]
    return result
