"""Every backend beside the one in memory: seeded differences of every sort are found, explained and mended."""

from __future__ import annotations

import math

import pytest

from archiver.model import Interval, SampleBatch
from archiver.model.kind import Kind
from archiver.model.time import ALWAYS, DAY_NS
from archiver.pipeline.routing import Router
from archiver.pipeline.verification import Plan, Repair, Side, verify
from archiver.testing.backend_suite.base import batch, exact, model, read, sample
from archiver.testing.harness import GROUPS
from archiver.testing.strategies import PAYLOAD_NAN

STEADY = [
    sample(day * DAY_NS + step, day + step / 8, element=name) for name in "abc" for day in range(3) for step in (0, 1)
]
ODD = [
    sample(5, math.nan, element="odd"),
    sample(6, PAYLOAD_NAN, element="odd"),
    sample(7, -0.0, element="odd"),
    sample(8, None, element="odd", status=1 << 63),
    sample(9, "", element="odd", kind=Kind.TEXT),
    sample(10, [1.0, 2.0], element="odd", kind=Kind.FLOATS),
    sample(11, True, element="odd", kind=Kind.BOOL),
    sample(11, 2**63 - 1, element="odd", kind=Kind.INT, sequence=1),
]
LOST = [sample(DAY_NS + 2, 7.0, element="a"), sample(DAY_NS + 2, "x", element="lost", kind=Kind.TEXT)]
EXTRA = [sample(2 * DAY_NS + 2, 8.0, element="b")]
CHANGES = {
    "value": (sample(3, 1.0), sample(3, 1.5)),
    "last bit": (sample(3, 2**63 - 1, kind=Kind.INT), sample(3, 2**63 - 2, kind=Kind.INT)),
    "status": (sample(3, 1.0, status=1), sample(3, 1.0, status=1 << 63 | 1)),
    "kind": (sample(3, 1.0), sample(3, 1, kind=Kind.INT)),
    "no value": (sample(3, 0.0), sample(3, None)),
    "order of items": (sample(3, [1.0, 2.0], kind=Kind.FLOATS), sample(3, [2.0, 1.0], kind=Kind.FLOATS)),
}


@pytest.fixture
def sides(backend_harness):
    """The model, and the backend under test: both hold the same, and differ as a test adds to them."""
    backend = backend_harness.create()
    if not backend.limits.readable:
        pytest.skip("it only passes samples on")
    router = Router({"g1": GROUPS["g1"]})
    both = Side(model(), router), Side(backend, router)
    for side in both:
        side.backend.write({"g1": batch(*STEADY, *ODD)})
    return both


def repaired(sides, index, **choice):
    target = sides[index].backend
    return verify(sides, Plan(ALWAYS, **choice), Repair(target.name, lambda group, part: target.write({group: part})))


def test_the_same_samples_are_the_same(sides):
    report = verify(sides, Plan(ALWAYS))
    assert report.same
    assert {segment.rows for segment in report.segments} == {(len(STEADY) + len(ODD),) * 2}
    assert report.exempt == report.shown == []
    assert verify(sides, Plan(ALWAYS, versions=True)).same


def test_lost_and_extra_samples_are_named_and_mended(sides):
    one, other = (side.backend for side in sides)
    one.write({"g1": batch(*LOST)})
    other.write({"g1": batch(*EXTRA)})
    report = verify(sides, Plan(ALWAYS))
    assert (report.only, report.changed, report.same) == ([2, 1], 0, False)
    assert [(s["element"], s["what"]) for s in report.shown] == [
        ("a", "only in model"),
        ("lost", "only in model"),
        ("b", "only in backend"),
    ]
    mended = repaired(sides, 1)
    assert mended.repaired == {"backend": "backend", "read": 2, "stored": 2, "duplicates": 0, "corrected": 0}
    assert mended.remaining == 1
    assert repaired(sides, 0).same
    assert read(one) == read(other) == exact([*STEADY, *ODD, *LOST, *EXTRA])
    assert repaired(sides, 1).repaired["stored"] == 0


@pytest.mark.parametrize("change", list(CHANGES))
def test_another_content_is_found_and_the_source_wins(sides, change):
    right, wrong = CHANGES[change]
    sides[0].backend.write({"g1": batch(right)})
    sides[1].backend.write({"g1": batch(wrong)})
    report = verify(sides, Plan(ALWAYS))
    assert (report.only, report.changed) == ([0, 0], 1)
    assert repaired(sides, 1).same
    assert [row.content for row in read(sides[1].backend)] == [row.content for row in read(sides[0].backend)]
    assert verify(sides, Plan(ALWAYS)).same
    assert repaired(sides, 1).repaired["corrected"] == 0


def test_a_correction_that_one_lacks_is_not_undone(sides):
    old, new = sample(3, 1.0, received=5), sample(3, 2.0, received=6)
    for side in sides:
        side.backend.write({"g1": batch(old)})
    sides[1].backend.write({"g1": batch(new)})
    assert repaired(sides, 1).remaining == 1
    assert exact([new])[0] in read(sides[1].backend, "a")
    assert repaired(sides, 0).same
    assert verify(sides, Plan(ALWAYS, versions=True)).same


def test_only_what_was_received_until_then_is_compared(sides):
    sides[0].backend.write({"g1": batch(sample(3, 1.0, received=50))})
    assert verify(sides, Plan(ALWAYS, received_until=49)).same
    assert not verify(sides, Plan(ALWAYS, received_until=50)).same


def test_one_element_and_one_interval(sides):
    sides[0].backend.write({"g1": batch(*LOST)})
    assert verify(sides, Plan(ALWAYS, ["b", "c"])).same
    assert verify(sides, Plan(Interval(0, DAY_NS))).same
    assert verify(sides, Plan(ALWAYS, ["a"])).only == [1, 0]


def test_an_empty_backend_is_filled(backend_harness):
    backend = backend_harness.create()
    if not backend.limits.readable:
        pytest.skip("it only passes samples on")
    router = Router({"g1": GROUPS["g1"], "g2": GROUPS["g2"]})
    sides = Side(model(), router), Side(backend, router)
    sides[0].backend.write({"g1": batch(*STEADY, *ODD), "g2": batch(*STEADY)})
    assert verify(sides, Plan(ALWAYS)).only == [2 * len(STEADY) + len(ODD), 0]
    assert repaired(sides, 1).same
    for group in ("g1", "g2"):
        assert read(backend, groups=[group]) == read(sides[0].backend, groups=[group])


def test_samples_held_by_a_smoothing_are_left_out(sides):
    held = SampleBatch.from_columns("a", [3], [1.0], receive_time=1)
    sides[0].backend.write({"g1": held})
    report = verify((sides[0], Side(sides[1].backend, sides[1].router, held)), Plan(ALWAYS))
    assert report.same
    assert [(exemption.cause, exemption.samples) for exemption in report.exempt] == [("held", 1)]
