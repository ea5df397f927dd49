"""Which shard looks after which instance of a rule, and gets the samples of which element."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from analytics.events.engine import Program
from analytics.events.event import ELEMENT_PREFIX
from analytics.events.rows import Mask


class Shards:
    """Instances shared out by their key; a rule with one instance by its name.

    Parameters
    ----------
    programs : sequence of Program
    count : int
        How many shards there are.
    """

    def __init__(self, programs: Sequence[Program], count: int) -> None:
        self.count = count
        self._programs = tuple(programs)
        self._masks: dict[str, Mask] = {}

    def of(self, rule: str, key: str) -> int:
        """Return the shard of an instance; the same in every worker, for ever."""
        return crc32((key or rule).encode()) % self.count

    def wanting(self, elements: Sequence[str]) -> Mask:
        """Return for each element and shard whether it gets the samples: one row per element."""
        masks = [self._mask(name) for name in elements]
        return np.stack(masks) if masks else np.zeros((0, self.count), bool)

    def _mask(self, element: str) -> Mask:
        mask = self._masks.get(element)
        if mask is None:
            mask = self._masks[element] = np.zeros(self.count, bool)
            for program in () if element.startswith(ELEMENT_PREFIX) else self._programs:
                for _, key in program.inputs.places(element):
                    mask[slice(None) if key is None else self.of(program.name, key)] = True
        return mask
