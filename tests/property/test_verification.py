"""Any set of differences between two backends is found exactly, and after a repair there is none."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from archiver.backends.memory import MemoryBackend
from archiver.model import format_time
from archiver.model.digest import sample_hashes
from archiver.model.time import ALWAYS
from archiver.pipeline.routing import Router
from archiver.pipeline.verification import Plan, Repair, Report, Side, comparing, scopes, verify
from archiver.ports import BackendContext
from archiver.testing.harness import GROUPS
from archiver.testing.rows import Row, batch_of, rows_of
from archiver.testing.strategies import HOSTILE_NAMES, batches, crowded_batches, rows

ROUTER = Router({"g1": GROUPS["g1"]})


class Fate(Enum):
    """What became of a sample in the two backends."""

    SAME = auto()
    ONLY_IN_ONE = auto()
    ONLY_IN_OTHER = auto()
    CHANGED = auto()
    NEWER_IN_ONE = auto()
    NEWER_IN_OTHER = auto()


histories = st.lists(
    st.tuples(rows(elements=HOSTILE_NAMES[:6], receive_time=st.just(10)), st.sampled_from(Fate)),
    max_size=30,
    unique_by=lambda pair: pair[0].identity,
)


def other_content(row: Row, received: int = 10) -> Row:
    return row._replace(status=row.status ^ 1, receive_time=received)


def stored(history: Iterable[tuple[Row, Fate]]) -> tuple[list[Row], list[Row]]:
    one: list[Row] = []
    other: list[Row] = []
    for row, fate in history:
        if fate is not Fate.ONLY_IN_OTHER:
            one.append(row)
        if fate is not Fate.ONLY_IN_ONE:
            other.append(other_content(row) if fate is Fate.CHANGED else row)
        if fate is Fate.NEWER_IN_ONE:
            one.append(other_content(row, 20))
        if fate is Fate.NEWER_IN_OTHER:
            other.append(other_content(row, 20))
    return one, other


def sides_of(*contents: list[Row]) -> tuple[Side, Side]:
    sides = []
    for name, content in zip(("one", "other"), contents, strict=True):
        backend = MemoryBackend(BackendContext(name, Path(), GROUPS), MemoryBackend.Options())
        backend.write({"g1": batch_of(content)})
        sides.append(Side(backend, ROUTER))
    return sides[0], sides[1]


def repair(sides: tuple[Side, Side], target: int, **choice: bool) -> Report:
    backend = sides[target].backend
    into = Repair(backend.name, lambda group, batch: backend.write({group: batch}))
    return verify(sides, Plan(ALWAYS, shown=1000, **choice), into)


def found(report: Report) -> dict[str, set[tuple[str, str, int]]]:
    result: dict[str, set[tuple[str, str, int]]] = {"only in one": set(), "only in other": set(), "changed": set()}
    for sample in report.shown:
        result[sample["what"]].add((sample["element"], sample["source_time"], sample["sequence"]))
    return result


def named(history: Iterable[tuple[Row, Fate]], *wanted: Fate) -> set[tuple[str, str, int]]:
    return {(row.element, format_time(row.source_time), row.sequence) for row, fate in history if fate in wanted}


@given(histories)
def test_differences_are_found_exactly_and_mended_from_either_side(history):
    sides = sides_of(*stored(history))
    report = verify(sides, Plan(ALWAYS, shown=1000))
    differing = (Fate.CHANGED, Fate.NEWER_IN_ONE, Fate.NEWER_IN_OTHER)
    assert found(report) == {
        "only in one": named(history, Fate.ONLY_IN_ONE),
        "only in other": named(history, Fate.ONLY_IN_OTHER),
        "changed": named(history, *differing),
    }
    assert (report.only[0], report.only[1], report.changed) == tuple(len(part) for part in found(report).values())
    assert report.same == (report.remaining == 0) == all(fate is Fate.SAME for _, fate in history)

    mended = repair(sides, 1)
    assert mended.remaining == len(named(history, Fate.ONLY_IN_OTHER, Fate.NEWER_IN_OTHER))
    left = verify(sides, Plan(ALWAYS, shown=1000))
    assert found(left)["only in one"] == set()
    assert found(left)["only in other"] == named(history, Fate.ONLY_IN_OTHER)
    assert found(left)["changed"] == named(history, Fate.NEWER_IN_OTHER)

    assert repair(sides, 0).same
    again = repair(sides, 1)
    assert again.same
    assert again.repaired == {"backend": "other", "read": 0, "stored": 0, "duplicates": 0, "corrected": 0}


@given(histories)
def test_versions_are_compared_when_asked_for_and_mended_into_a_union(history):
    contents = stored(history)
    sides = sides_of(*contents)
    report = verify(sides, Plan(ALWAYS, versions=True))
    versions = [{row[:4]: repr(row) for row in content} for content in contents]
    assert report.only == [len(mine.keys() - other.keys()) for mine, other in (versions, versions[::-1])]
    assert report.changed == len(named(history, Fate.CHANGED))
    repair(sides, 1, versions=True)
    assert repair(sides, 0, versions=True).same
    read = [rows_of(*side.backend.read(HOSTILE_NAMES, ALWAYS, versions=True)) for side in sides]
    assert sorted(map(repr, read[0])) == sorted(map(repr, read[1]))


@given(histories, st.integers(1, 5))
def test_bounds_of_memory_and_segments_change_nothing(history, rows_at_once):
    sides = sides_of(*stored(history))
    expected = verify(sides, Plan(ALWAYS, shown=1000))
    with patch.object(comparing, "_ROWS_AT_ONCE", rows_at_once), patch.object(scopes, "_SEGMENT_ROWS", rows_at_once):
        narrow = verify(sides, Plan(ALWAYS, shown=1000))
        assert (found(narrow), narrow.remaining) == (found(expected), expected.remaining)
        repair(sides, 1)
        assert repair(sides, 0).same


@given(batches(max_rows=12), st.randoms(use_true_random=False))
def test_the_same_samples_have_the_same_hash_in_any_order_and_company(batch, random):
    order = list(range(batch.num_rows))
    random.shuffle(order)
    shuffled = sample_hashes(batch.take(order)).tolist()
    assert shuffled == [sample_hashes(batch)[index] for index in order]
    assert shuffled == [int(sample_hashes(batch.slice(index, 1).pruned())[0]) for index in order]


@given(crowded_batches())
def test_hashes_differ_just_when_samples_do(batch):
    for received in (False, True):
        hashes = sample_hashes(batch, received=received).tolist()
        contents = [
            repr((row.source_time, row.sequence, row.content, row.receive_time if received else None))
            for row in rows_of(batch)
        ]
        assert len(set(zip(hashes, contents, strict=True))) == len(set(hashes)) == len(set(contents))
