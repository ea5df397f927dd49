"""Columns to source times: ISO-8601, strptime formats, numbers since a start, Arrow timestamps, or row numbers."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import InvalidInputError, parse_time
from archiver.sources.replay.cells import Rows, convert_rows, is_text
from archiver.sources.replay.options import ReplayOptions

_NUMBER = r"^(?P<sign>[+-]?)(?P<whole>\d{1,19})(?:\.(?P<fraction>\d*))?$"
_SHORT_HOUR = r"^(\d{4}-\d\d-\d\d[ T])(\d:)"
_NAIVE = pa.timestamp("ns")
_NANO_DIGITS = 9


class TimeColumn:
    """Gives the source times of rows.

    Parameters
    ----------
    options : ReplayOptions
    """

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self._start = parse_time(options.time_start)

    def convert(self, columns: list[pa.Array], first: int, count: int) -> tuple[NDArray[np.int64], Rows]:
        """Return the times in ns, and the rows that have none that can be read (their time means nothing).

        Parameters
        ----------
        columns : list of Arrow arrays
            The time columns; none when rows are numbered.
        first, count : int
            Number of the first row in the file, and of rows.
        """
        if not columns:
            return self._start + np.arange(first, first + count, dtype=np.int64) * self._options.unit_ns, _none()
        cells = columns[0] if len(columns) == 1 else _join(columns)
        if is_text(cells):
            cells = pc.utf8_trim_whitespace(cells)
        try:
            times, bad = convert_rows(cells, self._cast)
        except pa.ArrowNotImplementedError as exc:
            raise InvalidInputError(f"time column of type {cells.type} is no time: {exc}") from exc
        missing = np.flatnonzero(times.is_null().to_numpy(zero_copy_only=False))
        return times.fill_null(0).to_numpy(), np.union1d(bad, missing)

    def _cast(self, cells: pa.Array) -> pa.Array:
        """Return int64 ns of cells that are all of one form; raises `pyarrow.ArrowInvalid`."""
        if is_text(cells):
            if self._options.time_unit is not None:
                return self._from_numbers(cells)
            return self._localised(self._parsed(cells))
        if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
            zone = getattr(cells.type, "tz", None)
            return self._localised(cells.cast(pa.timestamp("ns", zone)))
        if pa.types.is_floating(cells.type):
            whole = pc.floor(cells.cast(pa.float64()))
            below = pc.round(pc.multiply(pc.subtract(cells, whole), self._options.unit_ns)).cast(pa.int64())
            total = pc.multiply_checked(whole.cast(pa.int64()), self._options.unit_ns)
            return pc.add_checked(pc.add_checked(total, below), self._start)
        unit = self._options.unit_ns if self._options.time_unit is not None else 1
        return pc.add_checked(pc.multiply_checked(cells.cast(pa.int64()), unit), self._start)

    def _parsed(self, cells: pa.Array) -> pa.Array:
        form = self._options.time_format
        if not form:
            cells = pc.replace_substring_regex(cells, _SHORT_HOUR, r"\10\2")
            try:
                return cells.cast(_NAIVE)
            except pa.ArrowInvalid:
                return cells.cast(pa.timestamp("ns", "UTC"))
        if "%f" not in form and "%z" not in form:
            return pc.strptime(cells, format=form, unit="ns")
        try:
            moments = [None if cell is None else datetime.strptime(cell, form) for cell in cells.to_pylist()]  # noqa: DTZ007 - localised below
        except ValueError as exc:
            raise pa.ArrowInvalid(str(exc)) from exc
        return pa.array(moments, pa.timestamp("us", "UTC") if "%z" in form else pa.timestamp("us")).cast(
            pa.timestamp("ns", "UTC") if "%z" in form else _NAIVE
        )

    def _localised(self, times: pa.Array) -> pa.Array:
        if times.type.tz is None and self._options.time_zone != "UTC":
            try:
                zoned = pc.assume_timezone(times, self._options.time_zone, ambiguous="earliest", nonexistent="earliest")
            except (pa.ArrowInvalid, pa.ArrowKeyError) as exc:
                raise InvalidInputError(f"time_zone = {self._options.time_zone!r}: not known here: {exc}") from exc
            return zoned.cast(pa.int64())
        return times.cast(pa.int64())

    def _from_numbers(self, cells: pa.Array) -> pa.Array:
        """Return int64 ns of decimal numbers, exactly: floats would round to microseconds."""
        if not pc.all(pc.match_substring_regex(cells, _NUMBER), min_count=0).as_py():
            raise pa.ArrowInvalid("not a number")
        parts = pc.extract_regex(cells, _NUMBER)
        sign, whole, fraction = (pc.struct_field(parts, i) for i in range(3))
        unit = self._options.unit_ns
        digits = pc.utf8_slice_codeunits(pc.utf8_rpad(fraction, _NANO_DIGITS, "0"), 0, _NANO_DIGITS).cast(pa.int64())
        seconds, rest = divmod(unit, 10**_NANO_DIGITS)
        below = pc.add(pc.multiply(digits, seconds), pc.divide(pc.multiply(digits, rest), 10**_NANO_DIGITS))
        total = pc.add_checked(pc.multiply_checked(whole.cast(pa.int64()), unit), below)
        return pc.add_checked(pc.if_else(pc.equal(sign, "-"), pc.negate(total), total), self._start)


def _join(columns: list[pa.Array]) -> pa.Array:
    return pc.binary_join_element_wise(*(column.cast(pa.utf8()) for column in columns), " ")


def _none() -> Rows:
    return np.empty(0, np.int64)
