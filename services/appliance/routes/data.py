"""Samples: ``getData``, ``getDataForPVs``, ``getDataAtTime``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter

from archiver.model import InvalidInputError, NotFoundError
from archiver.model.time import DAY_NS
from services.appliance.at_time import at_time
from services.appliance.bodies import names_in
from services.appliance.formats import raw, text
from services.appliance.names import Wanted, wanted
from services.appliance.reading import Reading
from services.appliance.series import Series
from services.appliance.times import Span, instant, period, span, spans
from services.common.errors import BadParameterError
from services.common.security import Reader, View
from services.common.streaming import AnswerResponse

router = APIRouter(prefix="/data", tags=["retrieval"])

_JSON = "application/json"
Writer = Callable[[Iterable[Series]], Iterator[bytes]]
_FORMATS: Mapping[str, tuple[Writer, str]] = {
    "json": (text.json, _JSON),
    "qw": (text.qw, _JSON),
    "jplot": (text.qw, _JSON),
    "raw": (raw.write, raw.MEDIA_TYPE),
    "csv": (text.csv, "text/csv"),
    "txt": (text.txt, "text/plain"),
}
_OF_MANY = ("json", "qw", "jplot", "raw")

From = Annotated[str | None, Parameter(alias="from", description="ISO-8601 with a zone; a day before to")]
To = Annotated[str | None, Parameter(alias="to", description="ISO-8601 with a zone, included; in an hour")]
Latest = Annotated[
    str | None, Parameter(alias="fetchLatestMetadata", description="true: limits and names of states as well")
]


@router.get("/getData.{extension}", response_class=Response)
def get_data(
    view: Reader,
    extension: str,
    pv: Annotated[str | None, Parameter(description="name, or operator_argument(name)")] = None,
    start: From = None,
    end: To = None,
    pp: Annotated[str, Parameter(description="operator, if none is around the name")] = "",
    timeranges: Annotated[str, Parameter(description="several intervals: from,to,from,to")] = "",
    latest: Latest = None,
    template: Annotated[str, Parameter(alias="retiredPVTemplate", description="stands for a PV that is gone")] = "",
) -> Response:
    """Return the samples of a PV: the last one at or before the start, then all up to the end."""
    if not pv:
        raise BadParameterError("pv", "", "it is missing; name a PV")
    if extension not in _FORMATS:
        return Response(b"")
    intervals = spans(timeranges) if timeranges else [span(start, end)]
    return _answer(view, extension, [wanted(view, pv, pp, template)], intervals, latest)


@router.get("/getDataForPVs.{extension}", response_class=Response)
def get_data_for_pvs(
    view: Reader,
    extension: str,
    pv: Annotated[list[str] | None, Parameter(description="as in getData; repeated")] = None,
    start: From = None,
    end: To = None,
    pp: str = "",
    latest: Latest = None,
) -> Response:
    """Return the samples of several PVs, one after the other; those that there are not are left out."""
    return _of_many(view, extension, pv or [], span(start, end), pp, latest)


@router.post("/getDataForPVs.{extension}", response_class=Response)
async def post_data_for_pvs(
    request: Request,
    view: Reader,
    extension: str,
    start: From = None,
    end: To = None,
    pp: str = "",
    latest: Latest = None,
) -> Response:
    """Return the samples of the PVs in the body: a JSON array, a line each, or the field pv of a form."""
    return _of_many(view, extension, await names_in(request), span(start, end), pp, latest)


@router.post("/getDataAtTime", response_class=Response)
@router.post("/getDataAtTime.json", response_class=Response, include_in_schema=False)
async def get_data_at_time(
    request: Request,
    view: Reader,
    at: Annotated[str, Parameter(description="ISO-8601 with a zone; now")] = "now",
    search: Annotated[str, Parameter(alias="searchPeriod", description="how far back: P1D, PT1H")] = "",
) -> Response:
    """Return the sample of each PV in the body that held at an instant; PVs without one are left out."""
    time, reach = instant("at", at), period(search) if search else DAY_NS
    found = await at_time(view, await names_in(request), time, reach)
    return Response(json.dumps(found, ensure_ascii=False), media_type=_JSON)


@router.api_route("/{method:path}", methods=["GET", "POST"], response_class=Response, include_in_schema=False)
def no_such_method(view: Reader, method: str) -> Response:
    """Say that there is no such method."""
    raise InvalidInputError(f"{method!r} is no method of /retrieval/data, or not by this verb of HTTP")


def _of_many(
    view: View, extension: str, names: Sequence[str], interval: Span, operator: str, latest: str | None
) -> Response:
    if not names:
        raise BadParameterError("pv", "", "it is missing; name one PV or more")
    if extension not in _OF_MANY:
        raise InvalidInputError(f"{extension!r} is no format for several PVs; there are {', '.join(_OF_MANY)}")
    found: list[Wanted] = []
    missing: list[NotFoundError] = []
    for name in names:
        try:
            found.append(wanted(view, name, operator))
        except NotFoundError as exc:
            missing.append(exc)
    if not found:
        raise missing[0]
    return _answer(view, extension, found, [interval], latest)


def _answer(
    view: View, extension: str, pvs: Sequence[Wanted], intervals: Sequence[Span], latest: str | None
) -> Response:
    write, media_type = _FORMATS[extension]
    reading = Reading(view)
    chunks = write(reading.series(pvs, intervals, latest=(latest or "").lower() == "true"))
    return AnswerResponse(reading, chunks, media_type)
