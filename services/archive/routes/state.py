"""How the archive is doing: groups, backends, the ledger, and why a sample is missing."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Parameter

from archiver.asking import BackendState
from archiver.model import format_time
from services.archive.documents import counts_of, total_to_row
from services.common.parameters import End, Start, interval_of
from services.common.security import Operator, Reader
from services.common.streaming import read_in_turn

router = APIRouter(prefix="/v1", tags=["state"])

_TOTAL = {"lane": "lake", "group": "all", "outcome": "stored", "reason": "", "count": 100}


@router.get("/groups")
def list_groups(archive: Reader) -> dict[str, Any]:
    """Return the archive groups in force, as configured."""
    return {"groups": [group.model_dump(mode="json") for group in archive.groups()]}


@router.get("/backends")
def list_backends(archive: Reader) -> dict[str, Any]:
    """Return every backend: kind, state, position, lag, age of the oldest sample that it lacks, and what it holds."""
    return {"backends": [_backend(state) for state in archive.backend_states()]}


@router.post("/backends/{name}/stop", status_code=204)
def stop_backend(archive: Operator, name: str) -> None:
    """Write nothing more to a backend, over restarts too; the journal keeps what comes, up to its bounds."""
    archive.pause(name)


@router.post("/backends/{name}/start", status_code=204)
def start_backend(archive: Operator, name: str) -> None:
    """Go on writing to a backend that was stopped, where it stopped."""
    archive.resume(name)


@router.post("/backends/{name}/discard")
def discard(archive: Operator, name: str) -> dict[str, int]:
    """Have a backend never get what it lacks by now; return about how many samples that are.

    They are in the ledger as dropped, and the journal may forget them; `POST /v1/copy` brings them from another one.
    """
    return {"discarded": archive.discard(name)}


@router.get("/ledger", responses={200: {"content": {"application/json": {"example": {"totals": [_TOTAL]}}}}})
def get_ledger(
    archive: Reader, element: Annotated[str | None, Parameter(description="counts of this element only")] = None
) -> dict[str, Any]:
    """Return how many samples ended in which column, by lane (a backend, or the intake), group and reason."""
    if element is not None:
        return {"totals": counts_of(archive.accounts(element))}
    return {"totals": [total_to_row(total) for total in archive.totals()]}


@router.get("/explain")
async def explain(archive: Reader, element: str, start: Start, end: End = "now") -> dict[str, Any]:
    """Return what became of the samples of an element in an interval, in words and numbers."""
    interval = interval_of(start, end)
    return await read_in_turn(lambda: archive.explain(element, interval).to_dict())


def _backend(state: BackendState) -> dict[str, Any]:
    coverage = [
        {**dataclasses.asdict(part), "first": format_time(part.first), "last": format_time(part.last)}
        for part in state.coverage
    ]
    return {**state.to_row(), "coverage": coverage}
