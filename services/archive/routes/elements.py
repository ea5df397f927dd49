"""Elements: which there are, what is known of each, and how that changed. Names are parameters, whatever is in them."""

from __future__ import annotations

import fnmatch
import re
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Parameter

from services.archive.documents import Description, element_to_row, version_to_dict
from services.common.security import Operator, Reader

router = APIRouter(prefix="/v1/elements", tags=["elements"])

Name = Annotated[str, Parameter(description="name or alias")]
_EXAMPLE = {
    "elements": [{"element": "BAR:T1", "kind": "float", "unit": "K", "description": "tracker, inlet"}],
    "total": 1,
}


@router.get("", responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}})
def list_elements(
    archive: Reader,
    pattern: Annotated[str, Parameter(description="glob over the whole name")] = "*",
    search: Annotated[str, Parameter(description="text in name or description, in any case")] = "",
    limit: Annotated[int | None, Parameter(ge=1, description="most of them; all when left out")] = None,
) -> dict[str, Any]:
    """Return the elements that match, by name, and how many there are in all."""
    matches, wanted = re.compile(fnmatch.translate(pattern)).match, search.casefold()
    found = [
        version
        for version in archive.elements()
        if matches(version.name)
        and (wanted in version.name.casefold() or wanted in version.metadata.description.casefold())
    ]
    return {"elements": [element_to_row(version) for version in found[:limit]], "total": len(found)}


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
