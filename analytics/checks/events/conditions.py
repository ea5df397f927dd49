"""What conditions say, sample by sample: a condition is a function of what each input holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from analytics.checks.events.driver import Sample, Told
from analytics.events.event import HAPPENED
from archiver.model import format_time

Condition = Callable[[Mapping[str, Sample]], bool | None]
"""True, false, or None where it is unknown; looks at the latest sample of each input that has one."""


class Look(NamedTuple):
    """What is known at a sample.

    Parameters
    ----------
    sample : Sample
    truths : list of bool or None
        What each condition was when it was last known, this sample included.
    before : list of bool or None
        What it was right before.
    """

    sample: Sample
    truths: list[bool | None]
    before: list[bool | None]


def looks(
    samples: Sequence[Sample], names: Sequence[str], conditions: Sequence[Condition], *, whole: bool
) -> Iterator[Look]:
    """Yield what is known at each sample.

    Parameters
    ----------
    samples : sequence of Sample
        Of one instance, in order.
    names : sequence of str
        Of the inputs.
    conditions : sequence of Condition
    whole : bool
        Conditions are looked at once at each instant, after its last sample.
    """
    held: dict[str, Sample] = {}
    last: list[bool | None] = [None] * len(conditions)
    for place, sample in enumerate(samples):
        held[names[sample.input]] = sample
        before = last
        goes_on = place + 1 < len(samples) and samples[place + 1].time == sample.time
        if not (whole and goes_on):
            said = [condition(held) for condition in conditions]
            last = [old if new is None else new for new, old in zip(said, last, strict=True)]
        yield Look(sample, last, before)


def absent(seen: Sequence[Look], within: int) -> list[Told]:
    """Return where the first condition began to hold and the second did not follow within a while."""
    result = []
    for place, look in enumerate(seen):
        begins = look.truths[0] is True and look.before[0] is not True
        followed = any(
            later.truths[1] is True and later.sample.time - look.sample.time <= within for later in seen[place:]
        )
        if begins and not followed:
            value = look.sample.said if look.sample.is_good and not isinstance(look.sample.value, str) else None
            since = format_time(look.sample.time)
            result.append(Told(HAPPENED, look.sample.time + within, value, {"since": since}))
    return result
