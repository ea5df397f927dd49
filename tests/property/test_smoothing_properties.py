"""The kernels against an obvious implementation, one sample at a time; and what they promise for any input."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archiver.model import Kind, SampleBatch, Smoothing, SmoothingKind, Status
from archiver.model.kind import VALUE_KINDS
from archiver.smoothing import RULES, Smoother, compiling

STEPS = [kind for kind in SmoothingKind if kind not in (SmoothingKind.NONE, SmoothingKind.SWINGING_DOOR)]
RULED = [kind for kind in SmoothingKind if kind is not SmoothingKind.NONE]
GAP = int(Status.DISCONNECTED | Status.PAUSED)
NUMERIC = (Kind.FLOAT, Kind.INT, Kind.UINT)


@contextmanager
def kernels(compiled: bool) -> Iterator[None]:
    """Run every batch compiled, or none."""
    with (
        patch.object(compiling, "LARGE", 0),
        patch.object(compiling, "_loaded", compiling._loaded if compiled else {}),
        patch.object(compiling, "numba_installed", lambda: compiled),
    ):
        yield


# -- the obvious implementation ---------------------------------------------------------------------------


class Obvious:
    """Smoothing as documented, with a dictionary and one sample at a time."""

    def __init__(self, smoothing):
        self.rule, self.mask = smoothing, smoothing.status_mask | GAP
        self.archived, self.seen, self.held, self.between = {}, {}, {}, {}
        self.stored, self.discarded = [], []

    def add(self, sample):
        element, time, sequence, _, status, kind, value = sample
        last, seen = self.archived.get(element), self.seen.get(element)
        if seen is not None and (time, sequence) <= seen:
            self.stored.append(sample)
            return
        self.seen[element] = time, sequence
        changed = last is None or time == seen[0] or self.differ(last, kind, value, status)
        silent = last is not None and 0 < self.rule.heartbeat_ns <= time - last[1]
        if self.rule.kind is SmoothingKind.SWINGING_DOOR:
            self.swing(sample, changed, silent)
        elif changed or silent or not (rule := self.discards(last, sample)):
            self.archive(sample)
        else:
            self.discarded.append((sample, rule))

    def differ(self, last, kind, value, status):
        if kind is not last[5] or (status ^ last[4]) & self.mask:
            return True
        finite = kind is not Kind.FLOAT or (math.isfinite(value) and math.isfinite(last[6]))
        return not finite and not same(value, last[6])

    def soon(self, last, sample):
        return sample[1] - last[1] < self.rule.min_interval_ns

    def close(self, last, sample):
        kind, value, before = sample[5], sample[6], last[6]
        if same(value, before) and (kind in (*NUMERIC, Kind.BOOL, Kind.ENUM, Kind.NONE)):
            return True
        if not self.rule.kind.uses_tolerance:
            return same(value, before)
        if kind not in NUMERIC:
            return False
        if "relative" in self.rule.kind.value:
            return float(abs(value - before)) <= self.rule.tolerance / 100 * float(abs(before))
        return abs(value - before) <= self.rule.tolerance

    def discards(self, last, sample):
        name = self.rule.kind.value
        soon, close = self.soon(last, sample), self.close(last, sample)
        if name == "time":
            return name if soon else ""
        if "_and_" in name:
            return name if soon and close else ""
        if "_or_" in name:
            value = name.replace("time_or_", "").replace("_or_time", "")
            return name if soon and close else "time" if soon else value if close else ""
        return name if close else ""

    def archive(self, sample):
        self.stored.append(sample)
        self.archived[sample[0]] = sample
        self.between[sample[0]] = []

    def slope(self, last, sample):
        move, age = sample[6] - last[6], sample[1] - last[1]
        return move / self.rule.tolerance, float(age)

    def fits(self, last, sample, between):
        move, age = self.slope(last, sample)
        return all(math.isfinite(m) and self.low(m) / a <= move / age <= self.high(m) / a for m, a in between)

    @staticmethod
    def high(move):
        slack = 1.0 - 2.0**-49 * (abs(move) + 1.0)
        return move + slack if slack > 0 else -math.inf

    @staticmethod
    def low(move):
        slack = 1.0 - 2.0**-49 * (abs(move) + 1.0)
        return move - slack if slack > 0 else math.inf

    def swing(self, sample, changed, silent):
        element, kind = sample[0], sample[5]
        held = self.held.pop(element, None)
        number = kind in NUMERIC and math.isfinite(sample[6])
        if held and not changed and self.fits(self.archived[element], sample, self.between[element]):
            self.discarded.append((held, "swinging_door"))
        elif held:
            self.archive(held)
        if changed or silent:
            self.archive(sample)
        elif self.soon(self.archived[element], sample):
            self.discarded.append((sample, "time"))
        elif number:
            self.held[element] = sample
            self.between[element].append(self.slope(self.archived[element], sample))
        elif self.close(self.archived[element], sample):
            self.discarded.append((sample, "old_new"))
        else:
            self.archive(sample)


def same(a, b):
    nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return nan or (repr(a) == repr(b) if isinstance(a, list) else a == b)


# -- inputs -----------------------------------------------------------------------------------------------

LEVELS = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, -0.0, -1.0, 100.0, 101.0, 1e300, -1e308, 1e308, 5e-324])
ODD = st.sampled_from([math.nan, math.inf, -math.inf])
VALUES = {
    Kind.NONE: st.none(),
    Kind.FLOAT: st.one_of(LEVELS, LEVELS, ODD, st.floats(-10, 10), st.floats()),
    Kind.INT: st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, 2**63 - 2, -(2**63), 2**53, 2**53 + 1])),
    Kind.UINT: st.one_of(st.integers(0, 3), st.sampled_from([2**64 - 1, 2**64 - 2, 2**63, 2**53 + 1])),
    Kind.BOOL: st.booleans(),
    Kind.TEXT: st.sampled_from(["", "a", "b", "ab"]),
    Kind.BINARY: st.sampled_from([b"", b"a", b"\x00"]),
    Kind.ENUM: st.integers(-1, 2),
    Kind.FLOATS: st.lists(st.sampled_from([0.0, 1.0, math.nan]), max_size=2),
    Kind.INTS: st.lists(st.integers(0, 1), max_size=2),
    Kind.UINTS: st.lists(st.integers(0, 1), max_size=2),
    Kind.BOOLS: st.lists(st.booleans(), max_size=2),
    Kind.TEXTS: st.lists(st.sampled_from(["", "a", "ab"]), max_size=2),
    Kind.BINARIES: st.lists(st.sampled_from([b"", b"a"]), max_size=2),
    Kind.ENUMS: st.lists(st.integers(0, 1), max_size=2),
}
STATUSES = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 2**63, GAP, int(Status.PAUSED), int(Status.DISCONNECTED)])
TOLERANCES = st.one_of(st.sampled_from([0.5, 1.0, 1.5, 1e-9, 1e19, 2.0**64, 1e300, math.inf]), st.floats(1e-3, 20))


@st.composite
def smoothings(draw, kinds=RULED):
    return Smoothing(
        draw(st.sampled_from(kinds)),
        draw(TOLERANCES),
        draw(st.sampled_from([1, 2, 3, 10**12])),
        draw(st.sampled_from([0, 0, 4, 10**12])),
        draw(st.sampled_from([2**64 - 1, 0, 1, 2])),
    )


@st.composite
def samples(draw, kinds=tuple(VALUES), steps=(1, 1, 1, 2, 3, 7, 0, -1, -5, 10**15), statuses=STATUSES):
    """Samples of up to three elements, each in runs of one kind."""
    rows, times = [], {}
    for _ in range(draw(st.integers(0, 6))):
        element, kind = draw(st.sampled_from("abc")), draw(st.sampled_from(kinds))
        for value in draw(st.lists(VALUES[kind], max_size=8)):
            times[element] = times.get(element, draw(st.sampled_from([0, -(2**62), 2**62]))) + draw(
                st.sampled_from(steps)
            )
            sequence = draw(st.sampled_from([0, 0, 0, 1, 2]))
            rows.append((element, times[element], sequence, len(rows), draw(statuses), kind, value))
    return rows


def batch_of(rows):
    columns = list(zip(*rows, strict=True))
    values = {
        kind: pa.array([row[6] if row[5] is kind else None for row in rows], kind.arrow_type, from_pandas=False)
        for kind in VALUE_KINDS
    }
    return SampleBatch.from_columns(
        list(columns[0]),
        list(columns[1]),
        values,
        sequence=list(columns[2]),
        receive_time=list(columns[3]),
        status=np.array(columns[4], np.uint64),
    )


def smooth(smoother, batches):
    """Return what is stored, and what is discarded with the rule, as lists of tuples."""
    stored, discarded = [], []
    for batch in batches:
        result = smoother.apply(batch)
        stored += result.stored.to_pylist()
        names = [RULES[rule] for rule in result.rule.tolist()]
        discarded += list(zip(result.discarded.to_pylist(), names, strict=True))
    return stored, discarded


def order(rows):
    """Return rows so that they compare: in one order, NaN equal to itself, 0.0 not to -0.0."""
    return sorted(map(repr, rows))


# -- properties -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@given(rule=smoothings(), rows=samples())
@settings(max_examples=250, deadline=None)
def test_the_kernels_do_what_the_obvious_implementation_does(compiled, rule, rows):
    if compiled:
        pytest.importorskip("numba")
    obvious = Obvious(rule)
    for row in rows:
        obvious.add(row)
    smoother = Smoother(rule)
    with kernels(compiled):
        stored, discarded = smooth(smoother, [batch_of(rows)] if rows else [])
    assert order(stored) == order(obvious.stored)
    assert order(discarded) == order(obvious.discarded)
    assert order(smoother.held().to_pylist()) == order(obvious.held.values())


@given(rule=smoothings(), rows=samples(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_result_does_not_depend_on_the_batches(rule, rows, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    parts = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    with kernels(False):
        whole, parted = Smoother(rule), Smoother(rule)
        expected = smooth(whole, [batch_of(rows)] if rows else [])
        stored, discarded = [], []
        for part in parts:
            result = smooth(parted, [batch_of(part)] if part else [SampleBatch.empty()])
            stored, discarded = stored + result[0], discarded + result[1]
            if data.draw(st.booleans()):
                parted = Smoother.load(rule, parted.dump())
    assert (order(stored), order(discarded)) == (order(expected[0]), order(expected[1]))
    assert parted.dump() == whole.dump()


@given(rule=smoothings(), rows=samples())
@settings(deadline=None)
def test_every_sample_ends_in_exactly_one_place(rule, rows):
    smoother = Smoother(rule)
    stored, discarded = smooth(smoother, [batch_of(rows)] if rows else [])
    assert order(stored + [row for row, _ in discarded] + smoother.held().to_pylist()) == order(rows)


FORWARD = (1, 1, 2, 3, 7, 10**6, 10**15)


@given(rule=smoothings(STEPS), rows=samples(steps=FORWARD))
@settings(deadline=None)
def test_step_kinds_keep_all_of_their_own_output(rule, rows):
    stored, _ = smooth(Smoother(rule), [batch_of(rows)] if rows else [])
    again, discarded = smooth(Smoother(rule), [batch_of(stored)] if stored else [])
    assert (order(again), discarded) == (order(stored), [])


def previous(stored, row):
    return max((s for s in stored if s[0] == row[0] and s[1] <= row[1]), key=lambda s: s[1])


@given(rule=smoothings(), rows=samples(steps=FORWARD))
@settings(deadline=None)
def test_named_status_bits_kinds_and_silences_are_never_lost(rule, rows):
    smoother = Smoother(rule)
    stored, discarded = smooth(smoother, [batch_of(rows)] if rows else [])
    stored += smoother.held().to_pylist()
    for row, _ in discarded:
        before = previous(stored, row)
        assert (row[4] ^ before[4]) & (rule.status_mask | GAP) == 0
        assert row[5] is before[5]
        if row[5] is Kind.FLOAT and not (math.isfinite(row[6]) and math.isfinite(before[6])):
            assert same(row[6], before[6])
        assert not 0 < rule.heartbeat_ns <= row[1] - before[1]


@given(rule=smoothings([SmoothingKind.VALUE]), rows=samples(NUMERIC, steps=FORWARD))
@settings(deadline=None)
def test_holding_the_last_stored_value_is_within_the_tolerance(rule, rows):
    stored, discarded = smooth(Smoother(rule), [batch_of(rows)] if rows else [])
    for row, _ in discarded:
        before = previous(stored, row)
        assert same(row[6], before[6]) or abs(row[6] - before[6]) <= rule.tolerance


WALK = st.lists(
    st.tuples(st.sampled_from([1, 2, 10**9, 10**9 + 1, 10**17]), st.sampled_from([0.0, 0.1, -0.1, 0.3, 1.0, -5.0])),
    max_size=40,
)
JUMPS = st.lists(st.tuples(st.sampled_from([1, 3, 10**9, 10**18]), st.floats(allow_nan=False)), max_size=12)
WHOLE = st.lists(
    st.tuples(st.sampled_from([1, 3, 10**9]), st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1))),
    max_size=12,
)


def assert_within_the_line(stored, discarded, tolerance):
    """Check, in exact arithmetic, the error of the straight line between the stored neighbours."""
    points = sorted(stored, key=lambda row: row[1])
    for row, rule in discarded:
        if rule != "swinging_door":
            continue
        (left, a), (right, b) = (
            (s[1], Fraction(s[6]))
            for s in (
                max((p for p in points if p[1] < row[1]), key=lambda p: p[1]),
                min((p for p in points if p[1] > row[1]), key=lambda p: p[1]),
            )
        )
        line = a + (b - a) * Fraction(row[1] - left, right - left)
        assert abs(line - Fraction(row[6])) <= Fraction(tolerance)
        drawn = float(a) + float(b - a) * ((row[1] - left) / (right - left))  # as a reader draws it, in float64
        if math.isfinite(drawn):
            assert abs(drawn - row[6]) <= tolerance + 4 * math.ulp(max(abs(a), abs(b), abs(row[6]), tolerance))


def check_door(kind, points, tolerance, first, heartbeat=0):
    time, rows = first, []
    for gap, value in points:
        time += gap
        rows.append(("a", min(time, 2**63 - 1 - len(points) + len(rows)), 0, 0, 0, kind, value))
    smoother = Smoother(Smoothing(SmoothingKind.SWINGING_DOOR, tolerance, heartbeat_ns=heartbeat))
    stored, discarded = smooth(smoother, [batch_of(rows)] if rows else [])
    assert_within_the_line(stored + smoother.held().to_pylist(), discarded, tolerance)
    return len(discarded)


@given(walk=WALK, start=st.sampled_from([0.0, 1e3, -1e15, 1e300]), tolerance=st.floats(1e-12, 10))
@settings(max_examples=200, deadline=None)
def test_the_swinging_door_stays_within_its_tolerance(walk, start, tolerance):
    levels = np.cumsum([start, *(change for _, change in walk)]).tolist()
    check_door(
        Kind.FLOAT, list(zip([1, *(gap for gap, _ in walk)], levels, strict=True)), tolerance, 1_790_000_000 * 10**9
    )


@given(
    jumps=JUMPS, tolerance=st.floats(5e-324, exclude_min=False, allow_infinity=False), heartbeat=st.sampled_from([0, 5])
)
@example(jumps=[(1, -1.7e308), (1, 1.7e308), (1, -1.7e308), (1, 0.0)], tolerance=1e308, heartbeat=0)
@example(jumps=[(10**18, 0.0), (10**9, 1e-310), (10**9, 5e-310), (1, 0.0)], tolerance=1e-310, heartbeat=0)
@settings(max_examples=200, deadline=None)
def test_the_swinging_door_stays_within_its_tolerance_for_any_float(jumps, tolerance, heartbeat):
    points = [(gap, value) for gap, value in jumps if math.isfinite(value)]
    check_door(Kind.FLOAT, points, tolerance, -(2**63), heartbeat)


@given(points=WHOLE, tolerance=st.one_of(st.floats(0.5, 100), st.floats(1e17, 1e20)))
@settings(max_examples=200, deadline=None)
def test_the_swinging_door_stays_within_its_tolerance_for_any_integer(points, tolerance):
    check_door(Kind.INT, points, tolerance, 0)


def test_the_swinging_door_discards_what_lies_on_a_line():
    ramp = [(10**9, 0.25 * i) for i in range(1000)]
    assert check_door(Kind.FLOAT, ramp, 0.01, 1_790_000_000 * 10**9) == 998
