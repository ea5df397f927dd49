"""Ways in which the same samples may come: Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from analytics.checks.events.driver import Arrival, Sample


@st.composite
def arrivals(draw: st.DrawFn, samples: Sequence[Sample], lateness: int) -> list[Arrival]:
    """Draw how samples come.

    Each is on its way for no longer than the lateness, some come twice; batches begin and end anywhere, the time goes
    on between them, and now and then another engine takes over. Without a lateness they come in order.

    Parameters
    ----------
    samples : sequence of Sample
    lateness : int
        Of the rule, ns.
    """
    came = [(sample.time + draw(st.integers(0, lateness)), sample) for sample in samples]
    if draw(st.booleans()) and came:
        again = draw(st.lists(st.sampled_from(came), max_size=3))
        came += [(draw(st.integers(at, sample.time + lateness)), sample) for at, sample in again]
    if lateness:
        came = sorted(draw(st.permutations(came)), key=lambda pair: pair[0])
    else:
        came = sorted(came, key=lambda pair: (pair[0], pair[1].element, pair[1].sequence))
    result, place = [], 0
    while place < len(came):
        mine = came[place : place + draw(st.integers(0, len(came) - place))]
        place += len(mine)
        last = came[place - 1][0] if place else came[0][0] - 1
        first = came[place][0] if place < len(came) else last + 50
        clock = draw(st.integers(last, first))
        result.append(Arrival([sample for _, sample in mine], [at for at, _ in mine], clock, draw(st.booleans())))
    return result


def samples_of(
    elements: Sequence[str], values: Sequence[float | str | None], latest: int = 25, statuses: Sequence[int] = (0,)
) -> st.SearchStrategy[list[Sample]]:
    """Return a strategy for samples of some elements, with no identity twice.

    Parameters
    ----------
    elements : sequence of str
    values, statuses : sequence
        To choose from.
    latest : int
        Times are 0 to this, ns: few, so that they meet.
    """
    one = st.builds(
        Sample,
        st.sampled_from(elements),
        st.integers(0, latest),
        st.sampled_from(values),
        st.integers(0, 1),
        st.sampled_from(statuses),
        st.just(0),
    )
    return st.sampled_from([0, 1, 2, 6, 12, 18, 25]).flatmap(
        lambda size: st.lists(
            one,
            min_size=min(size, len(set(elements)) * latest),
            max_size=size,
            unique_by=lambda sample: (sample.element, sample.time, sample.sequence),
        )
    )
