"""The statements that make cells of samples, in the words of a database.

A row is what the samples of one element and bucket have that share a kind and the bits that make a status not good: so
the database only counts, adds and compares, and what is good, a number, or not to be told at all is seen from the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from archiver.model import Status
from archiver.model.grid import Grid
from archiver.model.status import BAD

NOT_GOOD = int(BAD | Status.DISCONNECTED | Status.PAUSED)
INSTANTS = pa.schema({"element_id": pa.int64(), "samples": pa.int64(), "instants": pa.int64()})
"""Columns of `Cells.instants`."""
_REALS = ("total", "int_total", "least", "greatest")


@dataclass(frozen=True)
class Words:
    """How a database says it; ``{0}`` and ``{1}`` are expressions.

    Parameters
    ----------
    quotient : str
        Quotient of two integers that are not negative, rounded down.
    bits : str
        The bits that two integers share.
    real : str
        An integer as a double.
    summable : str
        A double that can be added without an error, null instead of one that cannot.
    minus_zeros : str
        How many of some doubles are -0.0.
    number : str
        A number that requests differ in, ``{0}``, or the variable of its name, ``{1}``, so that their text is the same.
    """

    quotient: str = "{0} / {1}"
    bits: str = "({0} & {1})"
    real: str = "CAST({0} AS DOUBLE PRECISION)"
    summable: str = "{0}"
    minus_zeros: str = "0"
    number: str = "{0}"


@dataclass(frozen=True)
class Cells:
    """What is asked of all cells of some elements.

    Parameters
    ----------
    grid : Grid
        Of times that differ by less than 2**63.
    wanted : frozenset of str
        Aggregates.
    words : Words
    """

    grid: Grid
    wanted: frozenset[str]
    words: Words

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns of a row; a double is null where there is none to add or compare."""
        names = ("element_id", "bucket", "flags", "kind", *self._results())
        return pa.schema([(name, pa.float64() if name in _REALS else pa.int64()) for name in names])

    @property
    def bounds(self) -> dict[str, int]:
        """Names and values of the numbers of `instants`: the interval."""
        return {"first": self.grid.interval.start, "last": self.grid.interval.end}

    @property
    def numbers(self) -> dict[str, int]:
        """Names and values of the numbers of `select`: interval, and buckets if there are any."""
        start = int(self.grid.starts(np.zeros(1, np.int64))[0])
        return self.bounds | ({"origin": start, "width": self.grid.bucket_ns} if self.grid.bucket_ns else {})

    def select(self, table: str, key: str) -> str:
        """Return the statement for one element of one table.

        Parameters
        ----------
        table : str
        key : str
            Expression of the element id.
        """
        flags = self.words.bits.format("status", NOT_GOOD)
        names = "element_id, source_time, kind, float_value, int_value"
        rows = f"SELECT {names}, {self._bucket()} AS bucket, {flags} AS flags {self._of(table, key)}"
        results = ", ".join(f"{text} AS {name}" for name, text in self._results().items())
        return (
            f"SELECT element_id, bucket, flags, kind, {results} FROM ({rows}) s "
            f"GROUP BY element_id, bucket, flags, kind"
        )

    def instants(self, table: str, key: str) -> str:
        """Return the statement for how many samples one element of one table has, and at how many instants."""
        counts = "COUNT(*) AS samples, COUNT(DISTINCT source_time) AS instants"
        return f"SELECT element_id, {counts} {self._of(table, key)} GROUP BY element_id"

    def _of(self, table: str, key: str) -> str:
        first, last = self._said("first"), self._said("last")
        return f"FROM {table} WHERE element_id = {key} AND source_time >= {first} AND source_time < {last}"

    def _said(self, name: str) -> str:
        return self.words.number.format(self.numbers[name], name)

    # -- of a sample ----------------------------------------------------------------------------------

    def _bucket(self) -> str:
        if not self.grid.bucket_ns:
            return "0"
        return self.words.quotient.format(f"(source_time - {self._said('origin')})", self._said("width"))

    # -- of a cell ------------------------------------------------------------------------------------

    def _results(self) -> dict[str, str]:
        words, wanted = self.words, self.wanted
        summable, real = words.summable.format("float_value"), words.real.format("int_value")
        results = {"samples": "COUNT(*)", "instants": "COUNT(DISTINCT source_time)"}
        results |= {"floats": "COUNT(float_value)", "least": "MIN(float_value)", "greatest": "MAX(float_value)"}
        results |= {"least_int": "COALESCE(MIN(int_value), 0)", "greatest_int": "COALESCE(MAX(int_value), 0)"}
        if wanted & {"min", "max"}:
            results["minus_zeros"] = words.minus_zeros.format("float_value")
        if "mean" in wanted:
            results |= {"total": f"SUM({summable})", "int_total": f"SUM({real})"}
        if wanted & {"first", "last"}:
            results |= {"first_time": "MIN(source_time)", "last_time": "MAX(source_time)"}
        return results
