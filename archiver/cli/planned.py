"""The plan of a query in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from archiver.cli.outcome import named

_NOTHING_KNOWN = "cost unknown as long as it was not read"


def plan_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line or two for each step of a plan, what is missing, and the cost of it all."""
    for step in document["steps"]:
        elements = f" of {named(step['elements'])}" if step["elements"] else ""
        yield f"{step['backend']}: {step['start']} to {step['end']}{elements}: {_cost(step)}"
        others = f"; then {', '.join(step['stand_by'])}" if step["stand_by"] else ""
        yield f"    because {step['why']}{others}"
    for missing in document["missing"]:
        backend = f" of {missing['backend']}" if missing["backend"] else ""
        which = named(missing["elements"]) or "all elements"
        yield f"missing{backend}: {which}, {missing['start']} to {missing['end']}: {missing['reason']}"
    kind = "complete" if document["complete"] else "partial"
    yield f"in all, {len(document['elements'])} elements: {_cost(document)}; as far as is known the answer is {kind}"


def _cost(figures: Mapping[str, Any]) -> str:
    rows = "rows unknown" if figures["rows"] is None else f"about {figures['rows']} rows"
    seconds = _NOTHING_KNOWN if figures["seconds"] is None else f"{figures['seconds']:.3g} s"
    return f"{rows}, {seconds}"
