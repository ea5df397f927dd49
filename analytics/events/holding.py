"""What the inputs of an instance hold at each of its samples: the latest sample of each input, until then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.rows import BEFORE_ALL, Floats, Int64s, Mask, Rows, Texts, grown


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Held:
    """What one input holds in each instance: state, a row per instance.

    Parameters
    ----------
    number, text, good, status
        Of its latest sample, as in `Values`; NaN, None, False and 0 where there was none.
    time : ndarray of int64
        Of that sample, ns; `BEFORE_ALL` where there was none.
    previous : ndarray of float64
        Number of the sample before that one; NaN where it was not good, or there was none.
    previous_time : ndarray of int64
        Time of that one, ns.
    """

    number: Floats = _none(np.float64)
    text: Texts | None = None
    good: Mask = _none(bool)
    status: NDArray[np.uint64] = _none(np.uint64)
    time: Int64s = _none(np.int64)
    previous: Floats = _none(np.float64)
    previous_time: Int64s = _none(np.int64)

    def grown(self, count: int) -> Held:
        """Return it for at least so many instances."""
        if len(self.number) >= count:
            return self
        return Held(
            grown(self.number, count, np.nan),
            None if self.text is None else grown(self.text, count, None),
            grown(self.good, count, False),
            grown(self.status, count, 0),
            grown(self.time, count, BEFORE_ALL),
            grown(self.previous, count, np.nan),
            grown(self.previous_time, count, BEFORE_ALL),
        )


class Seen:
    """What one input holds at each row, with the columns of `Held`; a column is made when it is looked at.

    Parameters
    ----------
    held : Held
        What it held before the rows.
    rows : Rows
    key : ndarray of int32
        Instance of each row that is asked about.
    row, before : ndarray of int64
        Which of the rows is the latest sample of the input then, and which was that before it; -1 for the one held.
    """

    def __init__(self, held: Held, rows: Rows, key: NDArray[np.int32], row: Int64s, before: Int64s) -> None:
        self._held, self._rows, self._key, self._row, self._before = held, rows, key, row, before

    def __len__(self) -> int:
        return len(self._row)

    def take(self, places: Int64s | Mask) -> Seen:
        """Return what it holds at some of the rows."""
        return Seen(self._held, self._rows, self._key[places], self._row[places], self._before[places])

    @cached_property
    def number(self) -> Floats:
        """Number of its latest sample; NaN where there is none."""
        return self._latest(self._rows.number, self._held.number)

    @cached_property
    def text(self) -> Texts | None:
        """Text of its latest sample; None where there is none, or none in all of them."""
        fresh, held = self._rows.text, self._held.text
        if fresh is None and held is None:
            return None
        fresh = np.full(len(self._rows), None, object) if fresh is None else fresh
        return self._latest(fresh, np.full(len(self._held.good), None, object) if held is None else held)

    @cached_property
    def good(self) -> Mask:
        """Whether its latest sample is good; False where there was none."""
        return self._latest(self._rows.good, self._held.good)

    @cached_property
    def status(self) -> NDArray[np.uint64]:
        """Status of its latest sample."""
        return self._latest(self._rows.status, self._held.status)

    @cached_property
    def time(self) -> Int64s:
        """Time of its latest sample, ns; `BEFORE_ALL` where there was none."""
        return self._latest(self._rows.time, self._held.time)

    @cached_property
    def previous(self) -> Floats:
        """Number of the sample before; NaN where that was not good, or there was none."""
        rows, held = self._rows, self._held
        return self._one_before(
            np.where(rows.good, rows.number, np.nan), np.where(held.good, held.number, np.nan), held.previous
        )

    @cached_property
    def previous_time(self) -> Int64s:
        """Time of the sample before, ns; `BEFORE_ALL` where there was none."""
        return self._one_before(self._rows.time, self._held.time, self._held.previous_time)

    def _latest(self, fresh: NDArray[Any], held: NDArray[Any]) -> NDArray[Any]:
        return _filled(held[self._key], self._row, fresh)

    def _one_before(self, fresh: NDArray[Any], held: NDArray[Any], previous: NDArray[Any]) -> NDArray[Any]:
        stays = self._row < 0
        result = held[self._key]
        result[stays] = previous[self._key[stays]]
        return _filled(result, self._before, fresh)


def initial(inputs: int) -> tuple[Held, ...]:
    """Return what so many inputs hold before the first sample."""
    return (Held(),) * inputs


def hold(state: tuple[Held, ...], rows: Rows, count: int) -> tuple[tuple[Held, ...], tuple[Seen, ...]]:
    """Return what each input holds after some rows, and at each of them.

    Parameters
    ----------
    state : tuple of Held
        By number of the input; `initial` before the first rows. Stays as it is.
    rows : Rows
        By instance and time.
    count : int
        Number of instances.

    Returns
    -------
    state : tuple of Held
    seen : tuple of Seen
        By number of the input. At a row, that row counts; others of its time do if they stand before it.
    """
    before = tuple(held.grown(count) for held in state)
    starts = rows.starts()
    begins = np.repeat(starts, np.diff(starts, append=len(rows)))
    seen = tuple(_seen(held, rows, number, begins) for number, held in enumerate(before))
    ends = np.append(starts[1:], len(rows)) - 1 if len(starts) else starts
    keys = rows.key[ends]
    return tuple(_after(held, at.take(ends), keys) for held, at in zip(before, seen, strict=True)), seen


def _seen(held: Held, rows: Rows, number: int, begins: Int64s) -> Seen:
    """Return what an input holds at each row; `begins` is where the instance of each row begins."""
    mine = np.flatnonzero(rows.input == number)
    row = np.full(len(rows), -1)
    row[mine] = mine
    row = np.maximum.accumulate(row)
    row[row < begins] = -1
    before = np.full(len(rows), -1)
    before[mine[1:]] = mine[:-1]
    before = before[row]  # where there is no row, whatever stands here is put right in the next line
    before[(row < 0) | (before < begins)] = -1
    return Seen(held, rows, rows.key, row, before)


def _after(held: Held, last: Seen, keys: NDArray[np.int32]) -> Held:
    """Return what an input holds after the last row of each of these instances."""

    def put(column: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        result = column.copy()
        result[keys] = values
        return result

    text = last.text
    return replace(
        held,
        number=put(held.number, last.number),
        text=None
        if text is None
        else put(np.full(len(held.good), None, object) if held.text is None else held.text, text),
        good=put(held.good, last.good),
        status=put(held.status, last.status),
        time=put(held.time, last.time),
        previous=put(held.previous, last.previous),
        previous_time=put(held.previous_time, last.previous_time),
    )


def _filled(result: NDArray[Any], places: Int64s, fresh: NDArray[Any]) -> NDArray[Any]:
    """Return a column that holds the values at some places instead, where there are such."""
    fills = places >= 0
    if fills.all():
        filled: NDArray[Any] = fresh[places]
        return filled
    result[fills] = fresh[places[fills]]
    return result
