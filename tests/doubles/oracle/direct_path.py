"""Direct path load: rows that come in Oracle's own format and are stored without a statement."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import values as v
from database import Database, bind
from wire import Wire

_COLUMN, _OBJECT, _SCHEMA = 4, 1, 3
_FIRST, _LAST, _FAST = 0x08, 0x04, 0x20
_SPLIT = 0x02
_LONG, _NULL = 0xFE, 0xFF
_CURSOR = 7
_FINISH = 2


class DirectPath:
    """The load of one session."""

    def __init__(self, wire: Wire, database: Database, describe: Callable[[Sequence[Any]], bytes]) -> None:
        self._wire = wire
        self._database = database
        self._describe = describe
        self._insert: Any = None
        self._kinds: list[int] = []

    def prepare(self) -> None:
        """Take table and columns, and say what they are."""
        wire = self._wire
        wire.ub(), wire.u1()
        words = wire.ub()
        wire.u1()
        count = wire.ub()
        wire.take(6)
        named: dict[int, list[str]] = {}
        for _ in range(words):
            wire.ub(), wire.ub()
            word = (wire.lb() or b"").decode()
            named.setdefault(wire.ub(), []).append(word)
        for _ in range(count):
            wire.ub()
        table, columns = f"{named[_SCHEMA][0]}.{named[_OBJECT][0]}", named[_COLUMN]
        described = self._database.describe(table, columns)
        self._kinds = [kind for _, kind, *_ in described]
        marks = ", ".join(f":{index}" for index in range(1, len(columns) + 1))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        self._insert = self._database.prepare(statement, self._kinds)
        free = [(name, v.BLOB if kind == v.RAW else kind, *rest) for name, kind, *rest in described]
        values = [0, 0, 0, _CURSOR]
        body = b"\x08" + v.ub(len(free)) + self._describe(free) + v.ub(0) + v.ub(len(values))
        wire.reply(body + b"".join(map(v.ub, values)) + b"\x09\0\0")

    def load(self) -> None:
        """Take rows, and store them."""
        wire = self._wire
        wire.ub(), wire.u1()
        left = wire.ub()
        wire.ub(), wire.u1(), wire.ub(), wire.take(2)
        row: list[bytes | None] = []
        while left > 0:
            left -= self._piece(row)
            if len(row) == len(self._kinds) and self._complete:
                for index, value in enumerate(row):
                    bind(self._insert, index + 1, self._kinds[index], value)
                self._insert.addBatch()
                row = []
        self._insert.executeBatch()
        wire.reply(b"\x08" + v.ub(0) + b"\x09\0\0")

    def finish(self) -> None:
        """Commit, or forget what was loaded."""
        wire = self._wire
        operation = wire.ub()
        wire.ub(), wire.u1(), wire.ub(), wire.take(2)
        if operation == _FINISH:
            self._database.commit()
        else:
            self._database.rollback()
        wire.reply(b"\x08" + v.ub(0) + b"\x09\0\0")

    def _piece(self, row: list[bytes | None]) -> int:
        """Read a part of a row into `row`; return how many bytes it took."""
        wire = self._wire
        flags = wire.u1()
        size = 2
        if flags & _FAST:
            wire.take(2)
            size += 2
        for number in range(wire.u1()):
            length = wire.u1()
            size += 1
            value: bytes | None = None
            if length == _LONG:
                (length,) = struct.unpack(">H", wire.take(2))
                value = wire.take(length)
                size += 2 + length
            elif length != _NULL:
                value = wire.take(length)
                size += length
            if number == 0 and flags & _SPLIT:
                row[-1] = (row[-1] or b"") + (value or b"")
            else:
                row.append(value)
        self._complete = bool(flags & _LAST)
        return size
