"""Elements: which there are, what is known of each, and how that changed. Names are parameters, whatever is in them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Response
from fastapi import Query as Parameter
from fastapi.responses import JSONResponse

from archiver.model import format_time
from archiver.model.listing import Listing
from archiver.pipeline.activity import ordered
from archiver.query.text import json_array
from services.archive.documents import Description, element_to_row, version_to_dict
from services.common.parameters import End, Start, interval_of
from services.common.security import Operator, Reader

router = APIRouter(prefix="/v1/elements", tags=["elements"])

Name = Annotated[str, Parameter(description="name or alias")]
_EXAMPLE = {
    "elements": [{"element": "BAR:T1", "kind": "float", "unit": "K", "description": "tracker, inlet"}],
    "total": 1,
}
_ACTIVITY = {
    "elements": [
        {"element": "BAR:T1", "state": "good", "silent_s": 0.4, "last_time": "2026-01-01T00:00:00.000000001Z",
         "received": 3600, "rate_hz": 1.0, "stored": 3598, "smoothed": 0, "duplicate": 0, "rejected": 2,
         "dead-lettered": 0, "dropped": 0, "reasons": "2 rejected: too far in the future", "lost": 2}
    ],
    "total": 1,
    "rate_hz": 1.0,
}  # fmt: skip


@router.get("", response_class=JSONResponse, responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}})
def list_elements(
    archive: Reader,
    pattern: Annotated[str, Parameter(description="glob over the whole name")] = "*",
    search: Annotated[str, Parameter(description="text in name or description, in any case")] = "",
    limit: Annotated[int | None, Parameter(ge=1, description="most of them; all when left out")] = None,
) -> Response:
    """Return the elements that match, by name, and how many there are in all."""
    listing = archive.listing()
    found = listing.matching(pattern, search)
    if limit is None:
        rows = json_array(listing.derived("rows", _rows).take(pa.array(found)))
        return Response(b'{"elements":%b,"total":%d}' % (rows, len(found)), media_type="application/json")
    shown = [element_to_row(listing.versions[place]) for place in found[:limit].tolist()]
    return JSONResponse({"elements": shown, "total": len(found)})


@router.get("/metadata")
def get_metadata(archive: Reader, element: Name) -> dict[str, Any]:
    """Return what is known of an element now."""
    return version_to_dict(archive.element(element))


@router.put("/metadata")
def put_metadata(archive: Operator, element: Name, description: Description) -> dict[str, Any]:
    """Set what is known of an element from an instant on; the past keeps what it had."""
    version = archive.describe(
        element,
        description.to_metadata(),
        rename=description.rename,
        valid_from=description.valid_from_ns(),
    )
    return version_to_dict(version)


@router.get("/history")
def get_history(archive: Reader, element: Name) -> dict[str, Any]:
    """Return all versions of an element, oldest first."""
    return {"versions": [version_to_dict(version) for version in archive.history(element)]}


@router.get("/activity", responses={200: {"content": {"application/json": {"example": _ACTIVITY}}}})
def get_activity(
    archive: Reader,
    by: Annotated[
        Literal["silent", "disconnected", "rate", "lost", "name"], Parameter(description="which come first")
    ] = "silent",
    pattern: Annotated[str, Parameter(description="glob over the whole name")] = "*",
    start: Start = "now-1h",
    end: End = "now",
    limit: Annotated[int, Parameter(ge=1, description="most of them")] = 100,
) -> dict[str, Any]:
    """Return how elements have been doing: silent for how long, disconnected, at what rate, what was lost and why.

    `received` and the columns of the ledger are of the interval; what is long ago is counted by the hour or the day.
    With ``disconnected`` and ``lost`` only those come that are, or have any.
    """
    table = archive.activity(pattern, interval_of(start, end))
    chosen = ordered(table, by)
    rows = chosen.slice(0, limit).to_pylist()
    return {
        "elements": [
            {**row, "last_time": None if row["last_time"] is None else format_time(row["last_time"])} for row in rows
        ],
        "total": chosen.num_rows,
        "rate_hz": pc.sum(table["rate_hz"]).as_py() or 0.0,
    }


def _rows(listing: Listing) -> pa.Array:
    """Return a JSON object for each element."""
    return pa.array(
        [json.dumps(element_to_row(version), ensure_ascii=False) for version in listing.versions], pa.utf8()
    )
