"""Elements as series of Prometheus: which labels each has, and which of them a selector admits.

The metric is the element: ``__name__`` and the label ``element`` both have its name, so that one which PromQL cannot
write as a metric (``host.cpu``) is ``{element="host.cpu"}``. ``group`` has its archive groups, joined by commas where
there are several, and ``unit`` its unit. Only elements whose values are numbers, booleans or states are series.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import ElementVersion, Kind
from services.common.security import View
from services.grafana.promql import Matcher, NotUnderstoodError

LABELS = ("__name__", "element", "group", "unit")
NUMERIC = frozenset({Kind.FLOAT, Kind.INT, Kind.UINT, Kind.BOOL, Kind.ENUM})
Labels = dict[str, str]


def series_of(view: View, matchers: Sequence[Matcher]) -> list[Labels]:
    """Return the labels of the series that all matchers admit, by name.

    An exact name may be an alias or a former name of the element.

    Raises
    ------
    NotUnderstoodError
        A pattern is no regular expression.
    """
    exact = [one for one in matchers if one.sign == "=" and one.label in LABELS[:2]]
    if exact:
        found = view.sight.find(exact[0].value)
        versions = [] if found is None else [found]
        present = {one: Matcher(one.label, "=", _present(view, one.value)) for one in exact}
        matchers = [present.get(one, one) for one in matchers]
    else:
        versions = view.elements()
    every = [_labels(view, version) for version in versions if version.metadata.kind in NUMERIC]
    for one in matchers:
        every = _admitted(every, one)
    return every


def _labels(view: View, version: ElementVersion) -> Labels:
    name = version.name
    groups, unit = ",".join(view.sight.groups_of(name)), version.metadata.unit
    optional = {"group": groups, "unit": unit}
    return {"__name__": name, "element": name, **{label: text for label, text in optional.items() if text}}


def _present(view: View, name: str) -> str:
    version = view.sight.find(name)
    return name if version is None else version.name


def _admitted(every: list[Labels], one: Matcher) -> list[Labels]:
    """Return the series that a matcher admits; a label that is not there counts as empty."""
    values = [labels.get(one.label, "") for labels in every]
    negated = one.sign[0] == "!"
    literal = one.sign in ("=", "!=")
    hits = [value == one.value for value in values] if literal else _matching(values, one.value)
    return [labels for labels, hit in zip(every, hits, strict=True) if hit != negated]


def _matching(values: list[str], pattern: str) -> list[bool]:
    """Return which values a pattern matches as a whole: by RE2, as in Prometheus."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)  # on its own it must be one: "a)|(b" is none
        hits = pc.match_substring_regex(pa.array(values, pa.utf8()), rf"(?s)\A(?:{pattern})\z")
    except pa.ArrowInvalid as exc:
        raise NotUnderstoodError(f"{pattern!r} is no regular expression: {exc}") from exc
    result: list[bool] = hits.to_pylist()
    return result
