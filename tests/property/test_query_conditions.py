"""Samples where a condition holds, against a model that looks at one sample after the other."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, Kind, SampleBatch, Status
from archiver.model.status import BAD
from archiver.ports import BackendContext, Options
from archiver.query import Condition, Query, comparison, execute, truth, windows
from archiver.testing.rows import batch_of, rows_of

INTERVAL = Interval(0, 40)
NUMBERS, TEXTS, CHOSEN = ("y", "odd, name"), ("s",), ("a", "b")
SIGNS = ("=", "!=", "<", "<=", ">", ">=")

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 0.1, 1.0, 2.5, math.nan, math.inf, 2.0**53]).map(lambda v: (Kind.FLOAT, v)),
    st.sampled_from([-1, 0, 1, 2**53 + 1, 2**63 - 1]).map(lambda v: (Kind.INT, v)),
    st.sampled_from([0, 1, 2**64 - 1]).map(lambda v: (Kind.UINT, v)),
    st.booleans().map(lambda v: (Kind.BOOL, v)),
    st.integers(-1, 2).map(lambda v: (Kind.ENUM, v)),
    st.just((Kind.NONE, None)),
)
texts = st.one_of(st.sampled_from(["", "x", "it's", "é"]).map(lambda v: (Kind.TEXT, v)), st.just((Kind.NONE, None)))
statuses = st.sampled_from(
    [0, 0, 0, 0, int(Status.ACTIVE), int(Status.AUT_INV), int(Status.OUT_PRANGE), int(Status.DISCONNECTED), 1 << 30]
)
times = st.integers(-5, 45)


def samples_of(names, values):
    return st.lists(st.tuples(st.sampled_from(names), times, values, statuses), max_size=25)


literals = st.sampled_from(
    ["0", "1", "-1", "1.5", "0.1", "1e0", "9007199254740993", "9223372036854775807", "18446744073709551616", "true"]
)
quoted = st.sampled_from(["''", '"x"', "'it''s'", '"é"'])
tests = st.one_of(
    st.tuples(st.just("compare"), st.sampled_from(NUMBERS), st.sampled_from(SIGNS), literals),
    st.tuples(st.just("compare"), st.sampled_from(TEXTS), st.sampled_from(SIGNS), quoted),
    st.tuples(st.just("in"), st.sampled_from(NUMBERS), st.booleans(), st.lists(literals, min_size=1, max_size=3)),
    st.tuples(
        st.just("is"),
        st.sampled_from(NUMBERS + TEXTS),
        st.booleans(),
        st.sampled_from(["good", "bad", "disconnected", "active", "bit30", "BIT30"]),
    ),
    st.tuples(st.just("alone"), st.sampled_from(NUMBERS)),
)
conditions = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=5,
)


def named(element):
    return f'"{element}"' if "," in element else element


def written(tree):
    """The text of a condition, with more brackets than it needs."""
    match tree:
        case ("compare", element, sign, literal):
            return f"{named(element)} {sign} {literal}"
        case ("in", element, opposite, values):
            return f"{named(element)} {'NOT ' if opposite else ''}in ({', '.join(values)})"
        case ("is", element, opposite, state):
            return f"{named(element)} is {'not ' if opposite else ''}{state}"
        case ("alone", element):
            return named(element)
        case ("not", inner):
            return f"not ({written(inner)})"
        case (word, inner):
            return "(" + f") {word} (".join(map(written, inner)) + ")"


def compared(value, sign, literal):
    """What a value and a literal say, by the exact numbers of Python; None where nothing is known."""
    kind, content, status = value
    if content is None or status & int(BAD | Status.DISCONNECTED) or content != content:
        return None
    if literal[0] in "'\"":
        wanted = literal[1:-1].replace(literal[0] * 2, literal[0])
    elif literal == "true":
        wanted = 1
    elif kind is Kind.FLOAT and not literal.lstrip("-").isdigit():
        wanted = float(literal)
    else:
        wanted = Fraction(literal)
    return {
        "=": content == wanted,
        "!=": content != wanted,
        "<": content < wanted,
        "<=": content <= wanted,
        ">": content > wanted,
        ">=": content >= wanted,
    }[sign]


def opposite_of(known):
    return None if known is None else not known


def state_of(value, state):
    _, content, status = value
    is_good = content is not None and content == content and not status & int(BAD | Status.DISCONNECTED)
    return {
        "good": is_good,
        "bad": bool(status & int(BAD)),
        "disconnected": bool(status & int(Status.DISCONNECTED)),
        "active": bool(status & int(Status.ACTIVE)),
        "bit30": bool(status & 1 << 30),
    }[state.lower()]


def judged(tree, held):
    """Whether a condition holds, given what each element holds: True, False, or None for unknown."""
    match tree:
        case ("not", inner):
            return opposite_of(judged(inner, held))
        case ("and" | "or" as word, inner):
            found = [judged(part, held) for part in inner]
            deciding = word == "or"
            return deciding if deciding in found else None if None in found else not deciding
        case (_, element, *_) if element not in held:
            return None
        case ("compare", element, sign, literal):
            return compared(held[element], sign, literal)
        case ("in", element, opposite, values):
            found = [compared(held[element], "=", literal) for literal in values]
            result = None if None in found else any(found)
            return opposite_of(result) if opposite else result
        case ("is", element, opposite, state):
            return state_of(held[element], state) != opposite
        case ("alone", element):
            return compared(held[element], "!=", "0")


def held_at(samples, time):
    """What each element holds at a time: kind, value and status of its last sample at or before it."""
    return {
        name: (kind, value, status)
        for name, at, (kind, value), status in sorted(samples, key=lambda sample: sample[1])
        if at <= time
    }


def batch(samples):
    return batch_of([(n, t, order, 0, status, *v) for order, (n, t, v, status) in enumerate(samples)])


def archive(samples):
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    backend.write({"g": batch(samples)})
    return {"memory": backend}


every = st.tuples(samples_of(CHOSEN, numbers), samples_of(NUMBERS, numbers), samples_of(TEXTS, texts)).map(
    lambda parts: [sample for part in parts for sample in part]
)


@pytest.mark.parametrize(("most_rows", "most_edges"), [(1_000_000, 2_000_000), (4, 2_000_000), (3, 1)])
@given(tree=conditions, samples=every)
def test_the_samples_where_a_condition_holds_are_those_of_a_model(most_rows, most_edges, tree, samples):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_ROWS", most_rows)
        patch.setattr(truth, "MOST_EDGES", most_edges)
        query = Query(CHOSEN, INTERVAL, where=Condition.parse(written(tree)))
        answer = execute(query, archive(samples), now=100)
        given_rows = rows_of(*answer.batches)
    expected = sorted(rows_of(batch(samples)), key=lambda row: row.order)
    expected = [
        row
        for row in expected
        if row.element in CHOSEN and row.source_time in INTERVAL and judged(tree, held_at(samples, row.source_time))
    ]
    assert given_rows == expected


@given(
    value=numbers,
    sign=st.sampled_from(SIGNS),
    literal=st.one_of(
        literals, st.integers(-(2**70), 2**70).map(str), st.floats(allow_nan=False, allow_infinity=False).map(repr)
    ),
)
def test_numbers_compare_exactly(value, sign, literal):
    kind, content = value
    column = {} if content is None else {kind: pa.array([content], kind.arrow_type)}
    sample = SampleBatch.from_columns("y", [0], column)
    [test] = Condition.parse(f"y {sign} {literal}").tests
    known = {1: True, -1: False, 0: None}[int(comparison.judged(test, sample, dict)[0])]
    assert known == compared((kind, content, 0), sign, literal)


@given(tree=conditions, samples=every)
def test_pages_of_chosen_samples_make_the_whole(tree, samples):
    readers, where = archive(samples), Condition.parse(written(tree))
    whole = rows_of(*execute(Query(CHOSEN, INTERVAL, where=where), readers, now=100).batches)
    paged, cursor = [], None
    for _ in range(100):
        page = execute(Query(CHOSEN, INTERVAL, where=where, limit=3, cursor=cursor), readers, now=100)
        paged += rows_of(*page.batches)
        cursor = page.cursor
        if cursor is None:
            break
    assert paged == whole


def test_a_condition_that_changes_all_the_time_is_not_held_in_memory(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_ROWS", 1000)
    monkeypatch.setattr(truth, "MOST_EDGES", 100)
    count = 10_000
    parts = [SampleBatch.from_columns(name, np.arange(count), np.arange(count)) for name in "abc"]
    parts.append(SampleBatch.from_columns("y", np.arange(count), np.arange(count) % 2))
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    backend.write({"g": SampleBatch.concat(parts)})
    query = Query(("a", "b", "c"), Interval(0, count), where=Condition.parse("y = 1"))
    table = execute(query, {"memory": backend}).table()
    assert table.column("value").to_pylist() == 3 * list(range(1, count, 2))
