"""What Grafana's Prometheus data source, and other clients of Prometheus' HTTP API, ask for under ``/api/v1``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Response

from archiver.query.text import json_array
from services.common.security import Reader, View
from services.common.streaming import AnswerResponse
from services.grafana import bodies
from services.grafana.evaluating import Evaluation
from services.grafana.naming import LABELS, table_of
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
def series(view: Reader, asked: Asked) -> Response:
    """Return the labels of the series that selectors admit, whenever they had a value."""
    if not asked.every("match[]"):
        asked.need("match[]")
    found = _matching(view, asked)
    data = json_array(found["json"].combine_chunks()[: asked.limit])
    pieces = bodies.wrapped(iter([data]), _warnings(found.num_rows, asked))
    return Response(b"".join(pieces), media_type=bodies.MEDIA_TYPE)


@router.api_route("/labels", methods=_BOTH)
def labels(view: Reader, asked: Asked) -> dict[str, Any]:
    """Return which labels there are."""
    found = _matching(view, asked)
    there = [label for label in LABELS if pc.any(pc.not_equal(_column(found, label), "")).as_py()]
    return _limited(pa.array(there, pa.utf8()), asked)


@router.get("/label/{name}/values")
def label_values(view: Reader, asked: Asked, name: str) -> dict[str, Any]:
    """Return the values that a label has."""
    if name not in LABELS:
        return bodies.document([])
    texts = pc.unique(_column(_matching(view, asked), name))
    there = texts.filter(pc.not_equal(texts, ""))
    return _limited(there.take(pc.sort_indices(there)), asked)


@router.get("/metadata")
def metadata(view: Reader, asked: Asked) -> dict[str, Any]:
    """Return what is known of each metric: every element is a gauge."""
    only = asked.get("metric")
    chosen = [view.element(only)] if only and view.sight.find(only) else [] if only else view.elements()
    found = {
        one.name: [{"type": "gauge", "help": one.metadata.description, "unit": one.metadata.unit}]
        for one in chosen[: asked.limit]
    }
    return bodies.document(found, _warnings(len(chosen), asked))


@router.get("/status/buildinfo")
def buildinfo(view: Reader) -> dict[str, Any]:
    """Return which Prometheus this resembles, and what it is."""
    unknown = dict.fromkeys(("branch", "buildUser", "buildDate", "goVersion"), "")
    return bodies.document({"version": _RESEMBLED, "revision": f"forebay {version('forebay')}", **unknown})


def _form_of(expression: Expression) -> Any:
    if not is_series(expression):
        return bodies.scalar
    return bodies.matrix if isinstance(expression, Selector) and expression.range_ns else bodies.vector


def _matching(view: View, asked: Parameters) -> pa.Table:
    """Return the series that any of the selectors admits, all when there is none; by name."""
    return table_of(view, [matchers_of(text) for text in asked.every("match[]")])


def _column(series: pa.Table, label: str) -> pa.ChunkedArray:
    return series["element" if label == LABELS[0] else label]


def _limited(texts: pa.Array, asked: Parameters) -> dict[str, Any]:
    return bodies.document(texts[: asked.limit].to_pylist(), _warnings(len(texts), asked))


def _warnings(count: int, asked: Parameters) -> list[str]:
    return ["results truncated due to limit"] if asked.limit is not None and count > asked.limit else []
