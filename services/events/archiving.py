"""Events as samples: each rule and key is an element, so that events lie in the backends like everything else."""

from __future__ import annotations

import json
from collections.abc import Sequence

from analytics.events.event import ELEMENT_PREFIX, SUPPRESSED, UNSUPPRESSED, Event
from archiver.model import Kind, SampleBatch


def samples_of(events: Sequence[Event]) -> SampleBatch:
    """Return events as samples: ``event:RULE:KEY`` with a text in JSON; the same event is the same sample.

    Examples
    --------
    >>> batch = samples_of([Event("hot", "T1", "came", 5, value=81.0)])
    >>> batch.elements, json.loads(batch.values(Kind.TEXT)[0].as_py())["kind"]
    (['event:hot:T1'], 'came')
    """
    names = [element_of(event.rule, event.key) for event in events]
    places = [2 * event.ordinal + (event.kind in (SUPPRESSED, UNSUPPRESSED)) for event in events]  # numbered apart
    texts = [json.dumps(_said(event), ensure_ascii=False, allow_nan=False) for event in events]
    times = [event.time for event in events]
    return SampleBatch.from_columns(names, times, texts, kind=Kind.TEXT, sequence=places)


def element_of(rule: str, key: str) -> str:
    """Return the element that holds the events of a rule and key."""
    return f"{ELEMENT_PREFIX}{rule}:{key}" if key else f"{ELEMENT_PREFIX}{rule}"


def _said(event: Event) -> dict[str, object]:
    said: dict[str, object] = {"id": event.id, "kind": event.kind, "value": event.value}
    return {**said, "attributes": dict(event.attributes)} if event.attributes else said
