"""Signals of one instance, sample by sample, and the events that come of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from analytics.checks.events.counting import after_delays
from analytics.checks.events.driver import Sample, Told
from analytics.events.event import CAME, GONE


class Said(NamedTuple):
    """What a signal says at an instant: that it is true, that it is not, or None for that it is unknown."""

    time: int
    truth: bool | None
    value: float | None = None


def latched(
    said: Iterable[Said],
    on_delay: int = 0,
    off_delay: int = 0,
    *,
    whole: bool = False,
    kinds: tuple[str, str] = (CAME, GONE),
) -> list[Told]:
    """Return when a signal comes and goes.

    Parameters
    ----------
    said : iterable of Said
        In order of time.
    on_delay, off_delay : int
        ns.
    whole : bool
        What is said last at an instant counts.
    kinds : tuple of str
        Of what came, and what is gone.
    """
    counts = list({each.time: each for each in said}.values()) if whole else list(said)
    edges: list[Told] = []
    active = False
    for time, truth, value in counts:
        if truth is not None and truth != active:
            active = truth
            edges.append(Told(CAME if active else GONE, time, value))
    told = after_delays(edges, on_delay, off_delay)
    return [each._replace(kind=kinds[0] if each.kind == CAME else kinds[1]) for each in told]


def number(sample: Sample | None) -> float | None:
    """Return the number of a sample that is good; None for any other."""
    if sample is None or not sample.is_good or sample.value is None or isinstance(sample.value, str):
        return None
    return float(sample.value)


def in_band(value: float | None, above: float | None, below: float | None, hysteresis: float) -> bool | None:
    """Return True where a number is outside, False where it is inside, None between and for no number."""
    if value is None:
        return None
    if (above is not None and value > above) or (below is not None and value < below):
        return True
    near = (above is not None and value > above - hysteresis) or (below is not None and value < below + hysteresis)
    return None if near else False


def threshold(samples: Sequence[Sample], above: float | None, below: float | None, hysteresis: float) -> list[Said]:
    """Return when a value is outside of a band."""
    return [Said(each.time, in_band(number(each), above, below, hysteresis), number(each)) for each in samples]


def condition(
    samples: Sequence[Sample],
    names: Sequence[str],
    when: Callable[[Mapping[str, Sample]], bool | None],
    until: Callable[[Mapping[str, Sample]], bool | None] | None = None,
) -> list[Said]:
    """Return when a condition is true of what the inputs hold; with `until`, false only when that is true."""
    held: dict[str, Sample] = {}
    result = []
    for sample in samples:
        held[names[sample.input]] = sample
        truth = when(held)
        if until is not None and truth is not True:
            truth = False if until(held) else None
        result.append(Said(sample.time, truth, number(sample)))
    return result


def rate(samples: Sequence[Sample], rises: float | None, falls: float | None, over: int) -> list[Said]:
    """Return when an element changes too fast, in units per second."""
    result = []
    for place, sample in enumerate(samples):
        value = number(sample)
        which = sample.element, sample.input
        earlier = [each for each in samples[:place] if (each.element, each.input) == which and number(each) is not None]
        if over:
            earlier = [each for each in earlier if each.time <= sample.time - over]
        if value is None or not earlier or (not over and earlier[-1].time == sample.time):
            result.append(Said(sample.time, None))
            continue
        passed = over or sample.time - earlier[-1].time
        speed = (value - (number(earlier[-1]) or 0.0)) / (passed / 1e9)
        fast = (rises is not None and speed > rises) or (falls is not None and speed < -falls)
        unknown = math.isnan(speed)
        result.append(Said(sample.time, None if unknown else fast, None if unknown else speed))
    return result


def deviation(samples: Sequence[Sample], more_than: float, hysteresis: float) -> list[Said]:
    """Return when the elements' latest good values lie apart."""
    held: dict[tuple[str, int], float | None] = {}
    result = []
    for sample in samples:
        held[sample.element, sample.input] = number(sample)
        known = [value for value in held.values() if value is not None]
        distance = max(known) - min(known) if len(known) > 1 else math.nan
        apart = None if math.isnan(distance) else distance
        result.append(Said(sample.time, in_band(apart, more_than, None, hysteresis), apart))
    return result


def vote(samples: Sequence[Sample], when: Callable[[Sample], bool | None], at_least: int) -> list[Said]:
    """Return when enough elements vote for it, and when no more even with all those that are unknown."""
    votes: dict[tuple[str, int], bool | None] = {}
    result = []
    for sample in samples:
        votes[sample.element, sample.input] = when(sample)
        favour = sum(each is True for each in votes.values())
        possible = sum(each is not False for each in votes.values())
        truth = True if favour >= at_least else False if possible < at_least else None
        result.append(Said(sample.time, truth, float(favour)))
    return result


def stale(samples: Sequence[Sample], after: int) -> list[Said]:
    """Return when no sample has come for a while, and the first that comes then."""
    result = []
    for sample, following in zip(samples, [*samples[1:], None], strict=True):
        if following is None or following.time >= sample.time + after:
            result.append(Said(sample.time + after, True))
            if following is not None:
                result.append(Said(following.time, False, number(following)))
    return result


def unchanged(samples: Sequence[Sample], after: int, tolerance: float) -> list[Said]:
    """Return when samples came and none of the elements has changed."""
    last: dict[tuple[str, int], float | str] = {}
    since = 0
    result = []
    for sample in samples:
        which = sample.element, sample.input
        value = sample.value
        if not sample.is_good or value is None:
            result.append(Said(sample.time, None))
            continue
        if which not in last or _differ(value, last[which], tolerance):
            last[which], since = value, sample.time
        result.append(Said(sample.time, sample.time - since >= after, number(sample)))
    return result


def _differ(value: float | str, before: float | str, tolerance: float) -> bool:
    if isinstance(value, str) or isinstance(before, str):
        return value != before
    return value != before and not abs(value - before) <= tolerance


def suppressed(rule: Sequence[Told], by: Sequence[Told]) -> list[Told]:
    """Return what a rule finds, and what suppresses it."""
    return [*rule, *by]
