"""Tables for Grafana's Infinity data source, under ``/grafana``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import APIRouter, Depends, Request, Response
from fastapi import Query as Parameter

from archiver.model import Interval, InvalidInputError, parse_time
from archiver.model.time import now
from archiver.pipeline.activity import SCHEMA, ordered
from archiver.query import Join, Query
from services.common.errors import BadParameterError
from services.common.security import Reader, View
from services.common.streaming import read_in_turn
from services.grafana import samples, tables
from services.grafana.evaluating import HOLD_NS
from services.grafana.marks import COLUMNS, marks
from services.grafana.questions import MOST_POINTS

router = APIRouter()

_MILLISECOND = 1_000_000
_POINTS = 1000
_FEWEST, _MOST = 10, MOST_POINTS
_LATEST = pa.schema(
    [("time", pa.int64()), ("element", pa.utf8()), ("value", pa.float64()), ("text", pa.utf8()),
     ("quality", pa.utf8()), ("unit", pa.utf8()), ("description", pa.utf8()), ("age_s", pa.float64())]
)  # fmt: skip
_BACKENDS = pa.schema(
    [("name", pa.utf8()), ("kind", pa.utf8()), ("state", pa.utf8()), ("lag_samples", pa.int64()),
     ("oldest_unflushed_s", pa.float64()), ("samples", pa.int64()), ("first", pa.int64()), ("last", pa.int64()),
     ("dead_letters", pa.int64()), ("retries", pa.int64()), ("last_error", pa.utf8())]
)  # fmt: skip
_LEDGER = pa.schema(
    [("lane", pa.utf8()), ("group", pa.utf8()), ("outcome", pa.utf8()), ("reason", pa.utf8()), ("count", pa.int64())]
)
_FOUND = pa.schema([("element", pa.utf8())])

Elements = Annotated[list[str], Parameter(alias="element", description="names, globs; {A,B} is A and B")]
From = Annotated[str, Parameter(alias="from", description="ms since the epoch, ISO-8601 with a zone, or now-1h")]
To = Annotated[str, Parameter(alias="to", description="not included; as from")]
Points = Annotated[int, Parameter(ge=1, description="the panel's maxDataPoints; at most 11000")]


_Format = Annotated[Literal["json", "csv"] | None, Parameter(alias="format", description="else as Accept says")]


def _form(request: Request, name: _Format = None) -> str:
    return tables.format_of(request.headers.get("accept"), name or "")


Form = Annotated[str, Depends(_form)]


@router.get("/series", response_class=Response)
def series(
    view: Reader, form: Form, element: Elements, start: From = "now-1h", end: To = "now", points: Points = _POINTS
) -> Response:
    """Return samples of elements, one after the other: those that a plot of so many points needs."""
    wanted = min(max(points, _FEWEST), _MOST)
    answer = view.query(Query(_named(view, element), _interval(start, end), before=1, points=wanted))
    return tables.stream(answer, samples.pieces_of(view, answer), form)


@router.get("/wide", response_class=Response)
def wide(
    view: Reader, form: Form, element: Elements, start: From = "now-1h", end: To = "now", points: Points = _POINTS
) -> Response:
    """Return elements side by side, a column each, at equal steps; a value holds until the next, at most for a day."""
    interval = _interval(start, end)
    step = max(1, -(-(interval.end - interval.start) // min(points, _MOST) // _MILLISECOND)) * _MILLISECOND
    names = view.sight.chosen(_named(view, element))
    answer = view.query(Query(names, interval, join=Join(tolerance_ns=HOLD_NS, step_ns=step)))
    return tables.stream(answer, samples.wide_pieces(answer, list(dict.fromkeys(names))), form)


@router.get("/latest", response_class=Response)
def latest(view: Reader, form: Form, element: Elements) -> Response:
    """Return the newest sample of each element, with its unit and age."""
    batch = view.latest(_named(view, element))
    rows, instant = [], now()
    columns = dict(zip(samples.COLUMNS, samples.columns_of(view, batch), strict=True))
    for row, time in zip(pa.table(columns).to_pylist(), batch.source_time.tolist(), strict=True):
        known = view.sight.find(row["element"])
        told = {} if known is None else {"unit": known.metadata.unit, "description": known.metadata.description}
        rows.append({**row, **told, "age_s": max(0.0, (instant - time) / 1e9)})
    return tables.respond(rows, _LATEST, form)


@router.get("/backends", response_class=Response)
def backends(view: Reader, form: Form) -> Response:
    """Return how every backend is doing."""
    rows = [state.to_row() for state in view.backend_states()]
    timed = [{**row, **{name: _shown(row[name]) for name in ("first", "last")}} for row in rows]
    return tables.respond(timed, _BACKENDS, form)


@router.get("/activity", response_class=Response)
def activity(
    view: Reader,
    form: Form,
    by: Literal["silent", "disconnected", "rate", "lost", "name"] = "silent",
    pattern: Annotated[str, Parameter(description="glob over the whole name")] = "*",
    start: From = "now-1h",
    end: To = "now",
    limit: Annotated[int, Parameter(ge=1)] = 100,
) -> Response:
    """Return how elements have been doing, as ``GET /v1/elements/activity`` does."""
    table = ordered(view.activity(pattern, _interval(start, end)), by).slice(0, limit)
    timed = table.set_column(3, "last_time", tables.milliseconds(table["last_time"].combine_chunks()))
    columns = pa.schema([*SCHEMA, ("lost", pa.int64())])
    return tables.respond(timed.to_pylist(), columns, form)


@router.get("/ledger", response_class=Response)
def ledger(view: Reader, form: Form) -> Response:
    """Return how many samples ended in which column, by lane, group and reason."""
    rows = [{name: getattr(total, name) for name in _LEDGER.names} for total in view.totals()]
    return tables.respond(rows, _LEDGER, form)


@router.get("/search", response_class=Response)
def search(
    view: Reader,
    form: Form,
    pattern: Annotated[str, Parameter(description="glob over the whole name")] = "*",
    search: Annotated[str, Parameter(description="text in name or description, in any case")] = "",
    limit: Annotated[int, Parameter(ge=1)] = 1000,
) -> Response:
    """Return the names of elements, for a variable of a dashboard."""
    listing = view.listing()
    names = listing.names.take(pa.array(listing.matching(pattern, search)[:limit]))
    return tables.respond(pa.table([names], _FOUND).to_pylist(), _FOUND, form)


@router.get("/annotations", response_class=Response)
async def drawn(
    view: Reader,
    form: Form,
    start: From = "now-1h",
    end: To = "now",
    element: Annotated[list[str] | None, Parameter(description="as of series")] = None,
) -> Response:
    """Return what is drawn over a plot: sources that were not there, backends that are behind."""
    names, interval = _named(view, [name for name in element or () if name]), _interval(start, end)
    return await read_in_turn(lambda: tables.respond(marks(view, list(names), interval), COLUMNS, form))


def _named(view: View, texts: list[str]) -> tuple[str, ...]:
    """Return names and globs; ``{A,B}``, as Grafana writes the choice of several, is A and B."""
    names: list[str] = []
    for text in texts:
        several = text.startswith("{") and text.endswith("}") and view.sight.find(text) is None
        names += text[1:-1].split(",") if several else [text]
    return tuple(dict.fromkeys(names))


def _interval(start: str, end: str) -> Interval:
    at = now()
    first, last = _time("from", start, at), _time("to", end, at)
    if last < first:
        raise BadParameterError("to", end, f"it lies before from ({start}); swap them")
    return Interval(first, last)


def _time(name: str, text: str, at: int) -> int:
    try:
        number = text.isascii() and text.isdigit()
        return parse_time(f"{text}000000" if number else text, at=at)
    except InvalidInputError as exc:
        raise BadParameterError(name, text, str(exc)) from exc


def _shown(time: Any) -> int | None:
    return None if time is None else parse_time(time) // _MILLISECOND
