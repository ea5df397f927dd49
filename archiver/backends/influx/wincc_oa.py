"""The database of a WinCC OA NextGen Archiver, read in place: nothing is written to it.

Each archive group is a retention policy, and the measurement in it that has its name. The tag ``name`` is the datapoint
element; ``valuetype`` says which of the fields ``original_value_<suffix>`` holds the value.

References
----------
WinCC OA documentation, NextGen Archiver, "InfluxDB schema": events/values, value type, example queries.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.backends.influx import names
from archiver.backends.influx.client import Client
from archiver.backends.influx.reading import Reader
from archiver.backends.influx.rows import Stored
from archiver.backends.influx.state import Extent, State
from archiver.model import Kind, SampleBatch
from archiver.ports import Coverage

INTEGERS = {
    1: Kind.INT,
    2: Kind.UINT,
    7: Kind.INT,
    8: Kind.UINT,
    9: Kind.UINT,
    10: Kind.INT,
    12: Kind.INT,
    13: Kind.UINT,
}
"""Value types that are in ``original_value_int``: int, uint, char, bit32, bit64, time, long, ulong."""
BOOL, FLOAT, TEXTS = 0, 3, (4, 6, 11)
_VALUE = "original_value_"
_SPECIAL = {"#inf": np.inf, "+#inf": np.inf, "-#inf": -np.inf, "inf": np.inf, "-inf": -np.inf}
_NOTHING = Extent(0, 0, 0)
"""What a group holds is counted only when it is asked for."""

TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("time", "_status64", "valuetype", f"{_VALUE}int"), pa.int64()),
    "name": pa.dictionary(pa.int32(), pa.utf8()),
    f"{_VALUE}bool": pa.bool_(),
    f"{_VALUE}float": pa.float64(),
}


class WinccReader(Reader):
    """Reads what a WinCC OA NextGen Archiver writes.

    Parameters
    ----------
    client : Client
    database : str
    """

    tag = "name"
    always = '"_status64"'
    types = TYPES

    def __init__(self, client: Client, database: str) -> None:
        super().__init__(client)
        self._policies = self.mark = f"SHOW RETENTION POLICIES ON {names.identifier(database)}"

    def state(self) -> State:
        """Return the groups that have a measurement of their name."""
        policies = [str(row["name"]) for row in self._client.query(self._policies)]
        measurements = {str(row["name"]) for row in self._client.query("SHOW MEASUREMENTS")}
        return State(groups={name: _NOTHING for name in policies if name in measurements})

    def measurement(self, group: str) -> str:
        """Return the measurement of a group, in its retention policy."""
        return f"{names.identifier(group)}.{names.identifier(group)}"

    def value_of(self, name: str) -> str:
        """Return the value of the tag for an element name: the name itself."""
        return name

    def name_of(self, value: str) -> str:
        """Return the element name of a value of the tag: the value itself."""
        return value

    def counting(self, state: State) -> str:
        """Return the condition that a point counts: all do."""
        return "\"name\" != ''"

    def coverage(self, state: State) -> list[Coverage]:
        """Return what is held of each group; the server counts it."""
        found = []
        for group in sorted(state.groups):
            first, last, count = (
                self._client.query(f"SELECT {function}({self.always}) FROM {self.measurement(group)}")
                for function in ("first", "last", "count")
            )
            if count:
                found.append(Coverage(group, first[0]["time"], last[0]["time"], count[0]["count"]))
        return found

    def decoded(self, state: State, table: pa.RecordBatch) -> Stored:
        """Return the samples of an answer; that they were received is taken to be when they were measured."""
        times = table.column("time").to_numpy()
        status = table.column("_status64").fill_null(0).view(pa.uint64())
        batch = SampleBatch.from_columns(
            table.column("name"), times, _values(table), status=status, receive_time=times
        ).pruned()
        return Stored(batch, np.zeros(batch.num_rows, np.int64))


def _values(table: pa.RecordBatch) -> dict[Kind, pa.Array]:
    """Return the value column of each kind, null where a sample has none of it."""
    types = table.column("valuetype").fill_null(-1).to_numpy(zero_copy_only=False)
    dynamic = _column(table, "dyn", pa.utf8())
    arrays = pc.not_equal(dynamic, "").fill_null(False)
    single = ~arrays.to_numpy(zero_copy_only=False)
    numbers = _column(table, "int", pa.int64())
    values = {
        kind: _where(numbers, single & np.isin(types, [code for code, of in INTEGERS.items() if of is kind]))
        for kind in (Kind.INT, Kind.UINT)
    }
    values[Kind.UINT] = values[Kind.UINT].view(pa.uint64())
    values[Kind.BOOL] = _where(_column(table, "bool", pa.bool_()), single & (types == BOOL))
    values[Kind.FLOAT] = _where(_floats(table), single & (types == FLOAT))
    texts = _where(_column(table, "string", pa.utf8()), single & np.isin(types, TEXTS))
    values[Kind.TEXT] = pc.if_else(arrays, dynamic, texts)
    return values


def _floats(table: pa.RecordBatch) -> pa.Array:
    special = _column(table, "float_special", pa.utf8())
    said = pc.not_equal(special, "").fill_null(False)
    floats = _column(table, "float", pa.float64())
    if not pc.any(said).as_py():
        return floats
    words = [None if word is None else _SPECIAL.get(word.lower(), np.nan) for word in special.to_pylist()]
    return pc.if_else(said, pa.array(words, pa.float64()), floats)


def _column(table: pa.RecordBatch, suffix: str, type_: pa.DataType) -> pa.Array:
    name = _VALUE + suffix
    return table.column(name) if name in table.schema.names else pa.nulls(table.num_rows, type_)


def _where(values: pa.Array, mask: NDArray[np.bool_]) -> pa.Array:
    return pc.if_else(pa.array(mask), values, pa.scalar(None, values.type))
