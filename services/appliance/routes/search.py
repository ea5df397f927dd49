"""Names and metadata: what ``/retrieval/bpl`` has."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter
from fastapi.responses import JSONResponse

from archiver.model import NotFoundError
from services.appliance.bodies import names_in
from services.appliance.identity import VERSION
from services.appliance.metadata import meta_of
from services.appliance.names import find, matching
from services.common.security import Reader

router = APIRouter(prefix="/bpl", tags=["search"])

_LIMIT = 500
Regex = Annotated[str | None, Parameter(description="regular expression over the whole name")]


@router.get("/getMatchingPVs")
def get_matching_pvs(
    view: Reader,
    pv: Annotated[str | None, Parameter(description="glob over the whole name; counts before regex")] = None,
    regex: Regex = None,
    limit: Annotated[int, Parameter(description="most names; -1 is all")] = _LIMIT,
) -> list[str]:
    """Return the names that match, sorted."""
    if pv is None and regex is None:
        raise NotFoundError("neither pv nor regex is given; name one of them")
    names = matching(view, glob=pv, regex=regex)
    return names if limit < 0 else names[:limit]


@router.get("/searchForPVsRegex", response_class=Response)
def search_for_pvs_regex(view: Reader, regex: Regex = None) -> Response:
    """Return all names that match, a line each."""
    if regex is None:
        raise NotFoundError("regex is missing; give a regular expression")
    return Response("".join(f"{name}\n" for name in matching(view, regex=regex)), media_type="text/plain")


@router.get("/getVersion")
def get_version(view: Reader) -> dict[str, str]:
    """Return which archive this is."""
    return {"version": VERSION}


@router.get("/areWeArchivingPV")
def are_we_archiving_pv(view: Reader, pv: str = "") -> dict[str, str]:
    """Return whether there is such a PV."""
    return {"status": str(find(view, pv) is not None).lower()}


@router.get("/getMetadata")
def get_metadata(view: Reader, pv: str = "") -> dict[str, str]:
    """Return units, precision, limits and names of states of a PV."""
    element = find(view, pv) or view.element(pv)
    return {"name": element.name, **meta_of(element.metadata, latest=True)}


@router.post("/filterArchivedPVs")
async def filter_archived_pvs(request: Request, view: Reader) -> list[str]:
    """Return those of the names in the body that are archived."""
    return [name for name in await names_in(request) if find(view, name) is not None]


@router.get("/{method:path}", include_in_schema=False)
def no_such_method(view: Reader, method: str) -> JSONResponse:
    """Say that there is no such method."""
    raise NotFoundError(f"there is no method {method!r} in /retrieval/bpl")
