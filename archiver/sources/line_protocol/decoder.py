"""InfluxDB line protocol to a sample batch: the good lines go through, each refused one is reported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from archiver.config import LineProtocolRule
from archiver.model import InvalidInputError, Kind, SampleBatch
from archiver.sources.line_protocol.columns import Columns, Names
from archiver.sources.line_protocol.compiled import Walker, walker
from archiver.sources.line_protocol.grammar import Field, Line, LineError, Value, parse_line
from archiver.sources.line_protocol.names import STATUS_FIELD, VALUE_FIELD, Series
from archiver.sources.line_protocol.table import STATUS, SeriesTable

PRECISIONS = {
    "": 1,
    "n": 1,
    "ns": 1,
    "u": 1_000,
    "us": 1_000,
    "µ": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Nanoseconds per unit of a timestamp, by the names that InfluxDB 1 and 2 give to them."""

SMALL = 4000
"""Bytes up to which a body is not worth starting the compiler for."""

LONGEST_TEXT = 200
"""Bytes of a refused line that are reported."""

_NOTHING = re.compile(rb"[ \t]*+(?:#|\r?\n|\r?\Z)")
_STATUS_KEY = STATUS_FIELD.encode()
_VALUE_KEY = VALUE_FIELD.encode()
_USUAL_BYTES, _LEAST = 32, 64  # of a sample, and samples: where there are more, the columns grow


class Refusal(NamedTuple):
    """A line that was not taken: its number from 1, its text (cut), and why."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Decoded:
    """The samples of a body in the order of its lines, and the lines that were refused."""

    batch: SampleBatch
    refused: tuple[Refusal, ...]


class Decoder:
    r"""Decodes bodies; what it learnt of a series serves all later ones.

    Safe to share between threads: they take turns.

    Parameters
    ----------
    rules : sequence of LineProtocolRule
        How points become elements; see `Series.name`.
    table : SeriesTable, optional
        Where to enter series.

    Examples
    --------
    >>> decoded = Decoder().decode(b"m,element=T1 value=20.5 7\nnonsense", precision="s", receive_time=0)
    >>> decoded.batch.to_pylist()
    [('T1', 7000000000, 0, 0, 0, <Kind.FLOAT: 1>, 20.5)]
    >>> decoded.refused
    (Refusal(line=2, text='nonsense', reason='the fields are missing'),)
    """

    def __init__(self, rules: Sequence[LineProtocolRule] = (), table: SeriesTable | None = None) -> None:
        self._rules = tuple(rules)
        self._lock = Lock()
        self._memory = _Memory(table or SeriesTable())

    def decode(self, body: bytes | memoryview, *, precision: str = "ns", receive_time: int) -> Decoded:
        """Return the samples and the refused lines of a body.

        Parameters
        ----------
        body : bytes or memoryview
            UTF-8; comments and empty lines are skipped.
        precision : str
            Unit of the timestamps, a key of `PRECISIONS`.
        receive_time : int
            ns; also the source time of lines without a timestamp.

        Raises
        ------
        InvalidInputError
            The precision is unknown.
        """
        unit = PRECISIONS.get(precision)
        if unit is None:
            raise InvalidInputError(f"precision = {precision!r}: unknown; write ns, us, ms or s")
        data = bytes(body)
        fast, columns = walker(wanted=len(data) > SMALL), Columns(len(data) // _USUAL_BYTES + _LEAST)
        with self._lock:
            if self._memory.table.is_full:
                self._memory = _Memory(SeriesTable())
            refused = self._run(data, (unit, receive_time), columns, fast)
            names = self._memory.names()
        return Decoded(columns.batch(names, receive_time), tuple(refused))

    def _run(self, data: bytes, times: tuple[int, int], columns: Columns, fast: Walker | None) -> list[Refusal]:
        refused: list[Refusal] = []
        view = np.frombuffer(data, np.uint8)
        position, lines = 0, 0
        while True:
            if fast is not None:
                position, lines = fast.walk(view, position, lines, times, self._memory.table, columns)
            if position >= len(data):
                return refused
            following, reason = self._slow_line(data, position, times, columns)
            if reason:
                refused.append(Refusal(lines + 1, _cut(data, position, following), reason))
            lines += data.count(b"\n", position, following)
            position = following

    def _slow_line(self, data: bytes, start: int, times: tuple[int, int], columns: Columns) -> tuple[int, str]:
        """Take one line in plain Python; return where the next one begins, and why this one is refused, if it is."""
        newline = data.find(b"\n", start)
        following = newline + 1 or len(data)
        match = _NOTHING.match(data, start)
        if match is not None:
            return following, ""
        while data[start] in b" \t":
            start += 1
        try:
            line = parse_line(data, start, times[0])
            self._take(line, times[1], columns)
        except LineError as exc:
            return following, str(exc)
        return line.end, ""

    def _take(self, line: Line, receive_time: int, columns: Columns) -> None:
        """Add the samples of a line; a line with nothing but a status is a sample without a value."""
        known = self._memory.series(line.key)
        status = 0
        rows: list[tuple[int, Kind, Value | None]] = []
        for entry in line.fields:
            if known.named and entry.key == _STATUS_KEY and entry.kind in (Kind.INT, Kind.UINT):
                status = _status(entry)
                self._memory.learn(line.key, _STATUS_KEY, STATUS)
            else:
                rows.append((self._code(known, line.key, entry.key), entry.kind, entry.value))
        if not rows:
            rows = [(self._code(known, line.key, _VALUE_KEY), Kind.NONE, None)]
        time = receive_time if line.time is None else line.time
        for code, kind, value in rows:
            columns.add(code, kind, value, time, status)

    def _code(self, known: _Known, key: bytes, name: bytes) -> int:
        code = known.codes.get(name, STATUS)
        if code == STATUS:
            code = self._memory.code(Series.parse(key).field_name(name, self._rules))
            if not (known.named and name == _STATUS_KEY):  # an integer there is the status of the line
                self._memory.learn(key, name, code)
        return code


@dataclass(slots=True)
class _Known:
    """What is known of a series: whether it names its element, and the codes of its fields."""

    named: bool
    codes: dict[bytes, int] = field(default_factory=dict)


class _Memory:
    """What was learnt: element names by code, and the codes of series and fields, here and in the table."""

    def __init__(self, table: SeriesTable) -> None:
        self.table = table
        self._names: list[str] = []
        self._codes: dict[str, int] = {}
        self._series: dict[bytes, _Known] = {}
        self._given = Names(pa.array([], pa.utf8()), [])

    def names(self) -> Names:
        """Return the names in the order of their codes: the same again, as long as none is new."""
        if len(self._names) != len(self._given.texts):
            self._given = Names(pa.array(self._names, pa.utf8()), self._names.copy())
        return self._given

    def code(self, element: str) -> int:
        """Return the code of an element, a new one when it has none."""
        code = self._codes.setdefault(element, len(self._names))
        if code == len(self._names):
            self._names.append(element)
        return code

    def series(self, key: bytes) -> _Known:
        """Return what is known of a series; raises `LineError` when its key is none."""
        known = self._series.get(key)
        if known is None:
            known = self._series[key] = _Known(Series.parse(key).element is not None)
        return known

    def learn(self, key: bytes, name: bytes, code: int) -> None:
        """Remember the code of a field of a known series."""
        codes = self._series[key].codes
        if name not in codes:
            codes[name] = code
            self.table.add(key, name, code)


def _status(entry: Field) -> int:
    if not isinstance(entry.value, int) or entry.value < 0:
        raise LineError("the status is negative; status bits are 0i to 18446744073709551615u")
    return entry.value


def _cut(data: bytes, start: int, end: int) -> str:
    return data[start : min(end, start + LONGEST_TEXT)].decode(errors="replace").rstrip("\r\n")


def decode(
    body: bytes | memoryview,
    *,
    precision: str = "ns",
    receive_time: int,
    rules: Sequence[LineProtocolRule] = (),
) -> Decoded:
    """Return the samples and the refused lines of one body; see `Decoder.decode`, which is faster for many."""
    return Decoder(rules).decode(body, precision=precision, receive_time=receive_time)
