"""Ways in which the same samples may come: Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from analytics.checks.events.driver import Arrival, Sample


@st.composite
def arrivals(draw: st.DrawFn, samples: Sequence[Sample], lateness: int) -> list[Arrival]:
    """Draw how samples come.

    Each is on its way for no longer than the lateness, some come twice; batches begin and end anywhere, the time goes
    on between them, and now and then another engine takes over.

    Parameters
    ----------
    samples : sequence of Sample
    lateness : int
        Of the rule, ns.
    """
    delays = draw(st.lists(st.integers(0, lateness), min_size=len(samples), max_size=len(samples)))
    came = [(sample.time + delay, sample) for sample, delay in zip(samples, delays, strict=True)]
    if draw(st.booleans()) and came:
        again = draw(st.lists(st.sampled_from(came), max_size=3))
        came += [(min(at + draw(st.integers(0, lateness)), sample.time + lateness), sample) for at, sample in again]
    came = sorted(draw(st.permutations(came)), key=lambda pair: pair[0])
    result, place = [], 0
    while place < len(came):
        size = draw(st.integers(0, len(came) - place))
        mine = came[place : place + size]
        place += size
        last = came[place - 1][0] if place else came[0][0] - 1
        first = came[place][0] if place < len(came) else last + 50
        clock = draw(st.integers(last, max(last, first)))
        result.append(Arrival([sample for _, sample in mine], [at for at, _ in mine], clock, draw(st.booleans())))
    return result
