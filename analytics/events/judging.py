"""What conditions say at each sample of an instance, of what its inputs hold then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.expressions import Columns, Expression, Input
from analytics.events.expressions import Held as Known
from analytics.events.holding import Held, Seen, hold, initial
from analytics.events.rows import BEFORE_ALL, Int64s, Mask, Rows

Truths = NDArray[np.int8]
"""1 it holds, -1 it does not, 0 unknown."""


def input_of(seen: Seen, fields: frozenset[str]) -> Input:
    """Return what expressions know of an input; only the fields that are looked at."""
    previous = seen.previous if "previous" in fields else None
    return Input(
        Known(seen.good, seen.number, seen.text),
        seen.status if "status" in fields else None,
        seen.time if fields & {"time", "age"} else None,
        None if previous is None else Known(~np.isnan(previous), previous),
        seen=seen.time != BEFORE_ALL,
    )


def truth_at(
    condition: Expression, seen: Mapping[str, Seen], times: Int64s, others: Mapping[str, Input] | None = None
) -> Truths:
    """Return what a condition says at each of some rows.

    Parameters
    ----------
    condition : Expression
    seen : mapping of str to Seen
        What each input holds at the rows, by its name in expressions.
    times : ndarray of int64
        Of the rows, ns.
    others : mapping of str to Input, optional
        What else has a name.
    """
    inputs = {name: input_of(seen[name], fields) for name, fields in condition.fields.items() if name in seen}
    return condition.truth(Columns(len(times), {**inputs, **(others or {})}, times))


def feeds(condition: Expression, names: Sequence[str], rows: Rows) -> Mask:
    """Return which rows are samples of an input that the condition looks at; all of them where it looks at none."""
    numbers = [number for number, name in enumerate(names) if name in condition.names]
    return np.isin(rows.input, numbers) if numbers else np.ones(len(rows), bool)


def filled(column: Truths, starts: Int64s, before: Truths) -> Truths:
    """Return a column with what was before in place of 0.

    Parameters
    ----------
    column : ndarray of int8
    starts : ndarray of int64
        Where each group of rows begins: the first at 0.
    before : ndarray of int8
        What was before the first row of each group.
    """
    last = np.maximum.accumulate(np.where(column != 0, np.arange(len(column)), -1))
    sizes = np.diff(starts, append=len(column))
    return np.where(last >= np.repeat(starts, sizes), column[last], np.repeat(before, sizes))


def said(rows: Rows, place: int) -> float | str | None:
    """Return what a sample says, as events tell it: a number or a text; None where it is not good."""
    if not rows.good[place]:
        return None
    number = float(rows.number[place])
    return number if rows.text is None or not np.isnan(number) else rows.text[place]


def last_of_instant(rows: Rows) -> Mask:
    """Return which rows are the last ones of their instance and time."""
    result: Mask = (np.diff(rows.key, append=-1) != 0) | (np.diff(rows.time, append=0) != 0)
    return result


def shifted(column: NDArray[Any], starts: Int64s, first: NDArray[Any]) -> NDArray[Any]:
    """Return what a column was one row before, and at the beginning of each group."""
    result = np.roll(column, 1)
    result[starts] = first
    return result


@dataclass(frozen=True)
class Judged:
    """What is remembered of each instance: what its inputs hold, and what each condition last was.

    Parameters
    ----------
    held : tuple of Held
        By number of the input.
    last : ndarray of int8
        A row per instance, a column per condition: unknown only before it was known for the first time.
    """

    held: tuple[Held, ...]
    last: Truths


@dataclass(frozen=True)
class Conditions:
    """Conditions that stay as they were while they are unknown; where instants are whole, each is looked at once.

    Parameters
    ----------
    names : tuple of str
        Inputs, as expressions call them.
    conditions : tuple of Expression
    """

    names: tuple[str, ...]
    conditions: tuple[Expression, ...]

    def initial(self) -> Judged:
        """Return the state before the first sample."""
        return Judged(initial(len(self.names)), np.empty((0, len(self.conditions)), np.int8))

    def advance(self, state: Judged, rows: Rows, count: int) -> tuple[Judged, Truths, Truths]:
        """Return the state after some rows, what each condition is at each of them, and what it was before.

        Parameters
        ----------
        state : Judged
            Stays as it is.
        rows : Rows
            By instance and time.
        count : int
            Number of instances.

        Returns
        -------
        state : Judged
        truths, before : ndarray of int8
            A row per row, a column per condition.
        """
        held, seen = hold(state.held, rows, count)
        width = len(self.conditions)
        last = np.concatenate([state.last, np.zeros((count - len(state.last), width), np.int8)])
        by_name = dict(zip(self.names, seen, strict=True))
        starts = rows.starts()
        own = last[rows.key[starts]]
        truths, before = np.empty((2, len(rows), width), np.int8)
        counts = last_of_instant(rows) if rows.whole else np.True_
        if len(rows):
            for place, condition in enumerate(self.conditions):
                said = truth_at(condition, by_name, rows.time)
                truths[:, place] = filled(np.where(counts, said, np.int8(0)), starts, own[:, place])
                before[:, place] = shifted(truths[:, place], starts, own[:, place])
            last[rows.key[starts]] = truths[np.append(starts[1:], len(rows)) - 1]
        return Judged(held, last), truths, before
