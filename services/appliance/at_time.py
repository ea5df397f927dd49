"""The sample of each PV that held at an instant, as JSON values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from archiver.model import SampleBatch
from archiver.model.time import NANOSECONDS
from services.appliance.events import EventReader
from services.appliance.formats import text
from services.appliance.metadata import type_of
from services.appliance.names import find, plain
from services.appliance.reading import Reading
from services.common.security import View
from services.common.streaming import read_in_turn


async def at_time(view: View, names: Sequence[str], time: int, reach: int) -> dict[str, Any]:
    """Return the sample of each PV at an instant.

    Parameters
    ----------
    time : int
        ns.
    reach : int
        How old a sample may be, ns.
    """
    return await read_in_turn(lambda: _at_time(view, names, time, reach))


def _at_time(view: View, names: Sequence[str], time: int, reach: int) -> dict[str, Any]:
    elements = {plain(name): known.name for name in names if (known := find(view, name)) is not None}
    if not elements:
        return {}
    batch = view.values_at(sorted(set(elements.values())), time)
    rows = {name: row for row, name in enumerate(batch.elements[code] for code in batch.codes.tolist())}
    found = {
        name: _sample(view, element, batch.slice(rows[element], 1), time - reach)
        for name, element in elements.items()
        if element in rows
    }
    return {name: value for name, value in found.items() if value is not None}


def _sample(view: View, element: str, sample: SampleBatch, earliest: int) -> dict[str, Any] | None:
    batches = [*Reading(view).before_gap(element, sample), sample]
    reader = EventReader()
    events = [event for batch in batches for event in reader.read(batch)]
    if not events or events[-1].time[-1] < earliest:
        return None
    last = events[-1]
    seconds, nanos = divmod(int(last.time[-1]), NANOSECONDS)
    return {
        "secs": seconds,
        "nanos": nanos,
        "val": json.loads(text.values(last.kind, last.value)[-1].as_py()),
        "severity": int(last.severity[-1]),
        "status": int(last.status[-1]),
        "meta": {"DBRType": type_of(last.kind)},
        "fields": {},
    }
