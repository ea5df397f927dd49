"""Elements as series of Prometheus: which labels each has, and which of them a selector admits.

The metric is the element: ``__name__`` and the label ``element`` both have its name, so that one which PromQL cannot
write as a metric (``host.cpu``) is ``{element="host.cpu"}``. ``group`` has its archive groups, joined by commas where
there are several, and ``unit`` its unit. Only elements whose values are numbers, booleans or states are series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import ElementVersion, Kind
from archiver.query.text import json_values
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
    exact = next((one for one in matchers if _is_exact(one)), None)
    if exact is None:
        every = _every(view)
    else:
        found = view.sight.find(exact.value)
        every = _columns(view, [] if found is None else [found])
    rows: list[Labels] = every.select(LABELS[1:]).filter(_admitted(view, every, matchers)).to_pylist()
    return [{"__name__": row["element"], **{label: text for label, text in row.items() if text}} for row in rows]


def table_of(view: View, selectors: Sequence[Sequence[Matcher]]) -> pa.Table:
    """Return the series that any of some selectors admits, all when there is none; by name. Raises as `series_of` does.

    Columns are ``element``, ``group`` and ``unit``, empty where there is no such label, and all as ``json``.
    """
    every = _every(view)
    if not selectors:
        return every
    return every.filter(reduce(pc.or_, (_admitted(view, every, matchers) for matchers in selectors)))


def _every(view: View) -> pa.Table:
    """Return all series that are seen; worked out once, as long as no element and no group changes."""
    return view.listing().derived("series", lambda listing: _with_json(_columns(view, listing.versions)))


def _columns(view: View, versions: Iterable[ElementVersion]) -> pa.Table:
    numeric = [version for version in versions if version.metadata.kind in NUMERIC]
    names = [version.name for version in numeric]
    columns = {
        "element": names,
        "group": [",".join(view.sight.groups_of(name)) for name in names],
        "unit": [version.metadata.unit for version in numeric],
    }
    return pa.table({label: pa.array(texts, pa.utf8()) for label, texts in columns.items()})


def _with_json(series: pa.Table) -> pa.Table:
    element, group, unit = (series[label].combine_chunks() for label in LABELS[1:])
    named = json_values({Kind.TEXT: element})
    parts = ['{"__name__":', named, ',"element":', named, _optional("group", group), _optional("unit", unit), "}"]
    return series.append_column("json", pc.binary_join_element_wise(*parts, ""))


def _optional(label: str, texts: pa.Array) -> pa.Array:
    """Return a label and its text as members of JSON objects; nothing where there is no text."""
    members = pc.binary_join_element_wise(f',"{label}":', json_values({Kind.TEXT: texts}), "")
    return pc.if_else(pc.equal(texts, ""), "", members)


def _is_exact(one: Matcher) -> bool:
    return one.sign == "=" and one.label in LABELS[:2]


def _admitted(view: View, series: pa.Table, matchers: Iterable[Matcher]) -> pa.ChunkedArray:
    """Return which series all matchers admit; a label that is not there counts as empty."""
    hits = pa.chunked_array([pa.repeat(True, series.num_rows)])
    for one in matchers:
        label = "element" if one.label == LABELS[0] else one.label
        texts = series[label] if label in LABELS else pa.chunked_array([pa.repeat("", series.num_rows)])
        own = pc.equal(texts, _present(view, one)) if one.sign in ("=", "!=") else _matching(texts, one.value)
        hits = pc.and_(hits, pc.invert(own) if one.sign[0] == "!" else own)
    return hits


def _present(view: View, one: Matcher) -> str:
    """Return the text that a matcher is for; of an exact name, the present one of its element."""
    version = view.sight.find(one.value) if _is_exact(one) else None
    return one.value if version is None else version.name


def _matching(texts: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Return which texts a pattern matches as a whole: by RE2, as in Prometheus."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)  # on its own it must be one: "a)|(b" is none
        return pc.match_substring_regex(texts, rf"(?s)\A(?:{pattern})\z")
    except pa.ArrowInvalid as exc:
        raise NotUnderstoodError(f"{pattern!r} is no regular expression: {exc}") from exc
