"""Hypothesis strategies for samples: every kind, with the values that are usually lost on the way."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from archiver.model import Kind, SampleBatch
from archiver.model.kind import VALUE_KINDS
from archiver.model.time import DAY_NS, MAX_TIME, MIN_TIME, NANOSECONDS
from archiver.testing.rows import Row, batch_of

PAYLOAD_NAN: float = struct.unpack(">d", bytes.fromhex("7ff80000deadbeef"))[0]
"""A NaN that carries a payload, which is not the NaN that arithmetic gives."""

LAST_TIME = MAX_TIME - 1
"""The last source time that a half-open interval can hold."""

_HOUR = 3600 * NANOSECONDS
EDGES = tuple(
    base + step for base in (0, _HOUR, DAY_NS, 20_000 * DAY_NS, 20_000 * DAY_NS + _HOUR) for step in (-1, 0, 1)
)
"""Instants at and around the edges of hours and days: few, so that samples meet."""

HOSTILE_NAMES = (
    "plant:unit1.temperature",
    "Plant:Unit1.Temperature",
    "a/b",
    "../../etc/passwd",
    "a\\b",
    'it\'s "quoted"',
    "'; DROP TABLE samples; --",
    "100%",
    "%s %d %(x)s {y} $1 :z ?",
    "line\nbreak\ttab",
    "trailing ",
    "trailing",
    " leading",
    "🌡️ oven",
    "caf\u00e9",
    "cafe\u0301",
    "\uffff",
    "\U0001f321",
    "null",
    "NaN",
    "__HIVE_DEFAULT_PARTITION__",
    "a=b",
    "a,b;c",
    "*",
    "x" * 500,
)
"""Names that break paths, statements, patterns, collations and normalisation."""

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
statuses = st.one_of(
    st.just(0), st.integers(0, 63).map(lambda bit: 1 << bit), st.just(2**64 - 1), st.integers(0, 2**64 - 1)
)
times = st.one_of(st.sampled_from(EDGES), st.integers(MIN_TIME, LAST_TIME))
sequences = st.integers(0, 2)
_SCALARS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.FLOAT: st.one_of(st.just(PAYLOAD_NAN), st.sampled_from([0.0, -0.0]), st.floats()),
    Kind.INT: st.one_of(st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1]), st.integers(-(2**63), 2**63 - 1)),
    Kind.UINT: st.one_of(st.sampled_from([2**64 - 1, 2**63]), st.integers(0, 2**64 - 1)),
    Kind.BOOL: st.booleans(),
    Kind.TEXT: texts,
    Kind.BINARY: st.binary(max_size=12),
    Kind.ENUM: st.integers(-(2**31), 2**31 - 1),
}


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Return values of a kind; None for `Kind.NONE`."""
    if kind is Kind.NONE:
        return st.none()
    return st.lists(_SCALARS[kind.item], max_size=4) if kind.is_list else _SCALARS[kind]


@st.composite
def rows(
    draw: st.DrawFn,
    *,
    elements: Sequence[str] = HOSTILE_NAMES,
    kinds: Sequence[Kind] = (Kind.NONE, *VALUE_KINDS),
    source_time: st.SearchStrategy[int] = times,
    receive_time: st.SearchStrategy[int] = times,
    sequence: st.SearchStrategy[int] = sequences,
) -> Row:
    """Draw one sample."""
    kind = draw(st.sampled_from(kinds))
    return Row(
        draw(st.sampled_from(elements)),
        draw(source_time),
        draw(sequence),
        draw(receive_time),
        draw(statuses),
        kind,
        draw(values(kind)),
    )


def batches(*, min_rows: int = 0, max_rows: int = 20, **columns: Any) -> st.SearchStrategy[SampleBatch]:
    """Return batches of samples in any order, also of the same identity; `columns` as for `rows`."""
    return st.lists(rows(**columns), min_size=min_rows, max_size=max_rows).map(batch_of)


def crowded_batches(max_rows: int = 20) -> st.SearchStrategy[SampleBatch]:
    """Return batches of few identities and few contents: full of duplicates and versions."""
    row = st.builds(
        Row,
        st.sampled_from(("b", "a", "c")),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 2),
        st.integers(0, 1),
        st.just(Kind.FLOAT),
        st.sampled_from((0.0, -0.0, float("nan"), PAYLOAD_NAN)),
    )
    valueless = row.map(lambda sample: sample._replace(kind=Kind.NONE, value=None))
    array = row.map(lambda sample: sample._replace(kind=Kind.FLOATS, value=[sample.value]))
    return st.lists(st.one_of(row, row, valueless, array), max_size=max_rows).map(batch_of)
