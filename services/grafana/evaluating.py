"""What an expression is worth: series over the times of a plot, or at one instant.

A value holds until the next sample of its element, at most for a limit (`HOLD_NS`); after a sample that is not good
(bad, disconnected, paused, without a value, NaN) nothing holds. Functions of a range see the good samples of
``[t - range, t)``. Times are the multiples of the step, as Grafana asks for them, and never after now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Interval, Kind, LimitError, SampleBatch
from archiver.model.status import is_good
from archiver.model.time import DAY_NS, now
from archiver.query import Answer, Join, Query
from archiver.query.windows import by_element
from services.common.asking import InTurn
from services.common.security import View
from services.grafana import reducing
from services.grafana.naming import NUMERIC, Labels, series_of
from services.grafana.promql import Arithmetic, Expression, Number, OverTime, Selector, is_series

HOLD_NS = DAY_NS
"""For how long a value holds at most, when nothing else is asked for (``lookback_delta``)."""

MOST_CELLS = 20_000_000
"""Numbers that one answer may be computed from."""

Numbers = NDArray[np.float64]
Times = NDArray[np.int64]
_OPERATORS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


@dataclass(frozen=True)
class Series:
    """One series: its labels, times (ns) where it has a value, and the values."""

    labels: Labels
    times: Times
    values: Numbers


class Evaluation(InTurn):
    """Reads what an expression needs; can be stopped from another thread.

    Parameters
    ----------
    view : View
        The archive, as whoever asks has it.
    hold_ns : int
    """

    def __init__(self, view: View, hold_ns: int = HOLD_NS) -> None:
        super().__init__(view)
        self.warnings: list[str] = []
        self._hold_ns = hold_ns

    def over(self, expression: Expression, start: int, end: int, step: int) -> list[Series]:
        """Return series at the multiples of a step from start to end, both included (ns).

        Raises
        ------
        LimitError
            It would be computed from too many numbers.
        """
        first, last = -(-start // step) * step, min(end, now()) // step * step
        times = np.arange(first, last + 1, step, dtype=np.int64)
        if not len(times):
            return []
        if isinstance(expression, Number):
            return [Series({}, times, np.full(len(times), expression.value))]
        if isinstance(expression, Arithmetic):
            return self._computed(expression, lambda part: self.over(part, start, end, step))
        if isinstance(expression, OverTime):
            return self._reduced(expression, times, step)
        return self._held(expression, times, step)

    def at(self, expression: Expression, time: int) -> list[Series]:
        """Return series at one instant; of a selector with a range, its samples."""
        if isinstance(expression, Number):
            return [Series({}, np.array([time]), np.array([expression.value]))]
        if isinstance(expression, Arithmetic):
            return self._computed(expression, lambda part: self.at(part, time))
        if isinstance(expression, OverTime):
            return self._reduced(expression, np.array([time]), 0)
        if expression.range_ns:
            return self._samples(expression, Interval(time - expression.range_ns, time))
        return self._held_at(expression, time)

    # -- of samples -----------------------------------------------------------------------------------

    def _held(self, selector: Selector, times: Times, step: int) -> list[Series]:
        chosen = self._chosen(selector, len(times))
        if not chosen:
            return []
        join = Join(tolerance_ns=self._hold_ns, step_ns=step)
        query = Query(tuple(chosen), Interval(int(times[0]), int(times[-1]) + 1), join=join)
        values = {name: np.full(len(times), np.nan) for name in chosen}
        with self._asking(query) as answer:
            wides: Iterator[Any] = answer.rows
            for wide in wides:
                rows = (wide.time - times[0]) // step
                for name, column in wide.columns.items():
                    number = numbers(column.values, len(rows))
                    values[name][rows] = np.where(is_good(_filled(column.status)), number, np.nan)
        return [_there(labels, times, values[name]) for name, labels in chosen.items()]

    def _held_at(self, selector: Selector, time: int) -> list[Series]:
        chosen = self._chosen(selector, 1)
        if not chosen:
            return []
        batch = self._view.values_at(list(chosen), time)
        number = np.where(is_good(batch.status), _of_samples(batch), np.nan)
        number[batch.source_time < time - self._hold_ns] = np.nan
        rows = {batch.elements[code]: row for row, code in enumerate(batch.codes.tolist())}
        at = np.array([time])
        return [_there(chosen[name], at, number[rows[name]][None]) for name in chosen if name in rows]

    def _samples(self, selector: Selector, interval: Interval) -> list[Series]:
        chosen, found = self._chosen(selector, 1), []
        if chosen:
            with self._asking(Query(tuple(chosen), interval)) as answer:
                batches: list[SampleBatch] = []
                for batch in answer.batches:
                    batches.append(batch)
                    _check(sum(one.num_rows for one in batches))
            for name, mine in by_element(SampleBatch.concat(batches)).items():
                number = np.where(is_good(mine.status), _of_samples(mine), np.nan)
                found.append(_there(chosen[name], mine.source_time, number))
        return found

    def _reduced(self, over: OverTime, times: Times, step: int) -> list[Series]:
        """Return a function of the range before each time, from buckets that the backends may make themselves."""
        grid = reducing.Windows.of(times, over.of.range_ns, step)
        chosen = self._chosen(over.of, grid.buckets)
        if not chosen:
            return []
        names, span = reducing.AGGREGATES[over.function], Interval(grid.start, int(times[-1]))
        parts: dict[str, list[reducing.Cells]] = {name: [] for name in chosen}
        with self._asking(Query(tuple(chosen), span, aggregates=names, bucket_ns=grid.bucket_ns)) as answer:
            buckets: Iterator[Any] = answer.rows
            for rows in buckets:
                columns = {name: _aggregate(rows, name) for name in names}
                for name, mine in reducing.runs(rows.element):
                    place = (rows.start[mine] - grid.start) // grid.bucket_ns if grid.bucket_ns else np.array([0])
                    parts[name].append(reducing.Cells(place, {key: column[mine] for key, column in columns.items()}))
        return [
            _there(_nameless(labels), times, grid.reduce(over.function, parts[name])) for name, labels in chosen.items()
        ]

    def _computed(self, what: Arithmetic, evaluate: Callable[[Expression], list[Series]]) -> list[Series]:
        left, right = evaluate(what.left), evaluate(what.right)
        operate = _OPERATORS[what.operator]
        with np.errstate(all="ignore"):  # x / 0 is infinite, as in Prometheus
            if is_series(what.left):
                return [_computed(one, operate(one.values, right[0].values[-1])) for one in left]
            return [_computed(one, operate(left[0].values[-1], one.values)) for one in right]

    # -- inside ---------------------------------------------------------------------------------------

    def _chosen(self, selector: Selector, cells: int) -> Mapping[str, Labels]:
        chosen = {labels["element"]: labels for labels in series_of(self._view, selector.matchers)}
        _check(len(chosen) * cells)
        return chosen

    @contextmanager
    def _asking(self, query: Query) -> Iterator[Answer]:
        with closing(self.ask(query)) as answer:
            yield answer
        partial = [missing for missing in answer.missing if missing.is_partial]
        self.warnings += [f"{missing.backend or 'the archive'}: {missing.reason}" for missing in partial]


def numbers(values: Mapping[Kind, pa.Array], rows: int) -> Numbers:
    """Return values of which at most one kind is set as floats; NaN where there is none, or it is no number."""
    found = np.full(rows, np.nan)
    for kind, array in values.items():
        if kind in NUMERIC:
            column = array.cast(pa.uint8()) if kind is Kind.BOOL else array
            number = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            found = np.where(np.isnan(number), found, number)
    return found


def _of_samples(batch: SampleBatch) -> Numbers:
    return numbers({kind: batch.values(kind) for kind in batch.kinds}, batch.num_rows)


def _filled(status: pa.Array) -> NDArray[np.uint64]:
    result: NDArray[np.uint64] = status.fill_null(0).to_numpy(zero_copy_only=False)
    return result


def _aggregate(rows: Any, name: str) -> Numbers:
    if name in rows.typed:
        return numbers(rows.typed[name], rows.num_rows)
    result: Numbers = rows.numbers[name].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return result


def _there(labels: Labels, times: Times, values: Numbers) -> Series:
    """Return a series without the times where it has no value."""
    there = ~np.isnan(values)
    return Series(labels, times[there], values[there])


def _computed(one: Series, values: Numbers) -> Series:
    return replace(one, labels=_nameless(one.labels), values=values)


def _nameless(labels: Labels) -> Labels:
    """Return labels without the name: what was computed is not the metric any more."""
    return {label: text for label, text in labels.items() if label != "__name__"}


def _check(cells: int) -> None:
    if cells > MOST_CELLS:
        raise LimitError(f"it is computed from {cells} numbers, and {MOST_CELLS} are allowed: ask for fewer series")
