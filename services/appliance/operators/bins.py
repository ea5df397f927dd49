"""Bins of time: equal ones aligned to the epoch, and what is said of those in which no sample lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from archiver.model import LimitError
from archiver.model.batch import Int64s
from archiver.model.time import NANOSECONDS
from services.appliance.events import Floats

_HALF_SECOND = NANOSECONDS // 2
_PIECE_BINS = 65_536
MOST_BINS = 10_000_000
"""Bins of one answer, the empty ones counted."""


@dataclass(frozen=True)
class Bins:
    """The bins of an interval, by number: seconds since the epoch over their length.

    Parameters
    ----------
    start, end : int
        Of the interval, ns; both belong to it.
    seconds : int
        Length of a bin.

    Raises
    ------
    LimitError
        There are more than `MOST_BINS`.
    """

    start: int
    end: int
    seconds: int

    def __post_init__(self) -> None:
        if self.last - self.first >= MOST_BINS:
            raise LimitError(
                f"{self.last - self.first + 1} bins of {self.seconds} s are asked for, and an answer has at most "
                f"{MOST_BINS}: ask for longer bins, or a shorter time"
            )

    @property
    def first(self) -> int:
        """Number of the bin that holds the start."""
        return self.start // (self.seconds * NANOSECONDS)

    @property
    def last(self) -> int:
        """Number of the bin that holds the end."""
        return self.end // (self.seconds * NANOSECONDS)

    def numbers(self, time: Int64s) -> Int64s:
        """Return the bin of each sample; the one before the start lies in the bin before the first."""
        return np.where(time < self.start, self.first - 1, time // (self.seconds * NANOSECONDS))

    def centres(self, numbers: Int64s) -> Int64s:
        """Return the instants in the middle of bins, ns: whole seconds, or halves where the length is odd."""
        middle = (numbers * self.seconds + self.seconds // 2) * NANOSECONDS
        return middle + (_HALF_SECOND if self.seconds % 2 else 0)


@dataclass(frozen=True)
class Summary:
    """What is said of bins, in order; all that is said of an empty bin is that of the bin before.

    Parameters
    ----------
    number : ndarray of int64
    values : ndarray of float64, shape (bins, k)
    severity : ndarray of uint8
        The greatest one in a bin.
    reconnected : ndarray of bool
        Whether a connection was regained in a bin.
    """

    number: Int64s
    values: Floats
    severity: NDArray[np.uint8]
    reconnected: NDArray[np.bool_]

    @classmethod
    def concat(cls, parts: Sequence[Summary]) -> Summary:
        """Return bins that follow each other as one."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def rows(self, rows: NDArray[np.int64] | slice) -> Summary:
        """Return some of the bins."""
        return Summary(self.number[rows], self.values[rows], self.severity[rows], self.reconnected[rows])


Empty = Callable[[Summary], Summary]
"""Says, for bins, what an empty bin after each is like."""


def spread(number: Int64s, until: int) -> Iterator[tuple[NDArray[np.int64], Int64s]]:
    """Yield, for every bin from the first numbered one to before `until`, the row it follows and its number.

    Parameters
    ----------
    number : ndarray of int64
        Bins that have samples, ascending.
    until : int
        The first bin that is not given any more.

    Examples
    --------
    >>> [(row.tolist(), bins.tolist()) for row, bins in spread(np.array([3, 5]), 7)]
    [([0, 0, 1, 1], [3, 4, 5, 6])]
    """
    if not len(number):
        return
    for start in range(int(number[0]), until, _PIECE_BINS):
        bins = np.arange(start, min(start + _PIECE_BINS, until))
        yield np.searchsorted(number, bins, "right") - 1, bins


def filled(summaries: Iterable[Summary], last: int, empty: Empty) -> Iterator[Summary]:
    """Yield bins with the empty ones between them and after them, up to the bin `last`."""
    held: Summary | None = None
    for summary in summaries:
        if held is not None:
            yield from _filled(held, int(summary.number[0]), empty)
        yield from _filled(summary.rows(slice(0, -1)), int(summary.number[-1]), empty)
        held = summary.rows(slice(-1, None))
    if held is not None:
        yield from _filled(held, max(last, int(held.number[0])) + 1, empty)


def _filled(summary: Summary, until: int, empty: Empty) -> Iterator[Summary]:
    for rows, bins in spread(summary.number, until):
        dense = summary.rows(rows)
        after = dense.number != bins
        if not after.any():
            yield dense
            continue
        other = empty(dense)
        values = np.where(after[:, None], other.values, dense.values)
        severity = np.where(after, other.severity, dense.severity)
        yield replace(dense, number=bins, values=values, severity=severity, reconnected=dense.reconnected & ~after)
