"""What Grafana's Prometheus data source, and other clients of Prometheus' HTTP API, ask for under ``/api/v1``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Response

from services.common.security import Reader, View
from services.common.streaming import AnswerResponse
from services.grafana import bodies
from services.grafana.evaluating import Evaluation
from services.grafana.naming import LABELS, Labels, series_of
from services.grafana.promql import Expression, NotUnderstoodError, Selector, is_series, matchers_of, parse
from services.grafana.questions import Asked, Parameters

router = APIRouter()
_BOTH = ["GET", "POST"]
_RESEMBLED = "2.42.0"


@router.api_route("/query_range", methods=_BOTH, response_class=Response)
def query_range(view: Reader, asked: Asked) -> Response:
    """Return what an expression is worth at the multiples of a step."""
    expression = parse(asked.need("query"))
    if isinstance(expression, Selector) and expression.range_ns:
        raise NotUnderstoodError("a range has no value at one instant; give a function over it, or leave it out")
    start, end, step = asked.span()
    evaluation = Evaluation(view, asked.hold)

    def pieces() -> Iterator[bytes]:
        series = evaluation.over(expression, start, end, step)
        yield from bodies.wrapped(bodies.matrix(series), evaluation.warnings)

    return AnswerResponse(evaluation, pieces(), bodies.MEDIA_TYPE)


@router.api_route("/query", methods=_BOTH, response_class=Response)
def query(view: Reader, asked: Asked) -> Response:
    """Return what an expression is worth at one instant."""
    expression, time = parse(asked.need("query")), asked.time("time")
    evaluation = Evaluation(view, asked.hold)

    def pieces() -> Iterator[bytes]:
        series = evaluation.at(expression, time)
        yield from bodies.wrapped(_form_of(expression)(series), evaluation.warnings)

    return AnswerResponse(evaluation, pieces(), bodies.MEDIA_TYPE)


@router.api_route("/series", methods=_BOTH)
def series(view: Reader, asked: Asked) -> dict[str, Any]:
    """Return the labels of the series that selectors admit, whenever they had a value."""
    if not asked.every("match[]"):
        asked.need("match[]")
    return _limited(_matching(view, asked), asked)


@router.api_route("/labels", methods=_BOTH)
def labels(view: Reader, asked: Asked) -> dict[str, Any]:
    """Return which labels there are."""
    return _limited(sorted({label for one in _matching(view, asked) for label in one}), asked)


@router.get("/label/{name}/values")
def label_values(view: Reader, asked: Asked, name: str) -> dict[str, Any]:
    """Return the values that a label has."""
    found = _matching(view, asked) if name in LABELS else []
    return _limited(sorted({one[name] for one in found if name in one}), asked)


@router.get("/metadata")
def metadata(view: Reader, asked: Asked) -> dict[str, Any]:
    """Return what is known of each metric: every element is a gauge."""
    only = asked.get("metric")
    chosen = [view.element(only)] if only and view.sight.find(only) else [] if only else view.elements()
    found = [
        (one.name, [{"type": "gauge", "help": one.metadata.description, "unit": one.metadata.unit}]) for one in chosen
    ]
    limited = _limited(found, asked)
    return {**limited, "data": dict(limited["data"])}


@router.get("/status/buildinfo")
def buildinfo(view: Reader) -> dict[str, Any]:
    """Return which Prometheus this resembles, and what it is."""
    unknown = dict.fromkeys(("branch", "buildUser", "buildDate", "goVersion"), "")
    return bodies.document({"version": _RESEMBLED, "revision": f"forebay {version('forebay')}", **unknown})


def _form_of(expression: Expression) -> Any:
    if not is_series(expression):
        return bodies.scalar
    return bodies.matrix if isinstance(expression, Selector) and expression.range_ns else bodies.vector


def _matching(view: View, asked: Parameters) -> list[Labels]:
    """Return the series that any of the selectors admits, all when there is none; by name."""
    selectors = [matchers_of(text) for text in asked.every("match[]")] or [()]
    found = {one["element"]: one for matchers in selectors for one in series_of(view, matchers)}
    return [found[name] for name in sorted(found)]


def _limited(found: list[Any], asked: Parameters) -> dict[str, Any]:
    limit = asked.limit
    cut = limit is not None and len(found) > limit
    return bodies.document(found[:limit], ["results truncated due to limit"] if cut else ())
