"""One client: greeting, login, statements, commits, as 19c answers them."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import jpype
import translation
import values as v
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from database import SCHEMA, Database, as_oracle, bind, describe, fetch
from direct_path import DirectPath
from faults import Faults
from wire import ACCEPT, REFUSE, ClosedError, InterruptedCallError, OracleError, Wire

USER, PASSWORD, SERVICE = b"SCADA", b"tiger", "FREEPDB1"
_UTF8 = 873
_BATCH_ERRORS, _COMMIT, _FETCH = 0x80000, 0x100, 0x40
_CANNED: list[tuple[str, str]] = [
    (r"sys_context\s*\(\s*'userenv'\s*,\s*'current_schema'", SCHEMA),
    (r"nls_session_parameters", ".,"),
    (r"nls_database_parameters", "AL32UTF8"),
    (r"v\$parameter", "19.0.0"),
]
_QUIET = re.compile(r"\s*(alter\s+session|declare|call)\b", re.IGNORECASE)
_DDL = re.compile(r"\s*(create|alter|drop|truncate)\b", re.IGNORECASE)
_DML = re.compile(r"\s*(insert|update|delete|merge)\b", re.IGNORECASE)
_serial = itertools.count(100)
Row = Sequence[bytes | None]


@dataclass
class Cursor:
    """A statement of a client, its variables, and what is left of its result."""

    number: int
    statement: str
    types: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    columns: list[tuple[str, int, int, int, int]] = field(default_factory=list)
    rows: Iterator[Row] = iter(())
    prepared: tuple[object, Any] = (None, None)


class Session:
    """Serves a client until it is gone."""

    def __init__(self, wire: Wire, database: Database, faults: Faults) -> None:
        self._wire = wire
        self._database = database
        self._faults = faults
        self._cursors: dict[int, Cursor] = {}
        self._numbers = itertools.count(1)
        self._in_transaction = False
        self._direct = DirectPath(wire, database, describe_columns)

    def run(self) -> None:
        with suppress(ClosedError, OSError), self._wire.socket, closing(self._database):
            self._greet()
            while True:
                try:
                    self._message()
                except InterruptedCallError:
                    self._wire.answer_break(self._status(1013, "ORA-01013: user requested cancel of current operation"))

    # -- greeting and login -----------------------------------------------------------------------------

    def _greet(self) -> None:
        _, body = self._wire.packet()
        length, offset = struct.unpack(">HH", body[16:20])
        descriptor = body[offset - 8 : offset - 8 + length]
        if len(descriptor) < length:
            descriptor += self._wire.packet()[1][2:]
        service = re.search(rb"SERVICE_NAME=([^)]*)", descriptor, re.IGNORECASE)
        if service and service[1].decode().upper() != SERVICE:
            refusal = b"(DESCRIPTION=(ERR=12514)(VSNNUM=318767104))"
            self._wire.send(REFUSE, b"\0\0" + struct.pack(">H", len(refusal)) + refusal)
            raise ClosedError
        self._wire.send(ACCEPT, struct.pack(">HH", 317, 0) + bytes(10) + b"\x04" + bytes(9) + struct.pack(">I", 8192))
        self._wire.long_lengths = True

    def _authenticate(self, second: bool) -> None:
        wire = self._wire
        has_user = wire.u1()
        wire.ub(), wire.ub(), wire.u1()
        count = wire.ub()
        wire.u1(), wire.u1()
        user = (wire.lb() or b"") if has_user else b""
        given: dict[str, bytes] = {}
        for _ in range(count):
            key = (wire.b2() or b"").decode()
            given[key] = wire.b2() or b""
            wire.ub()
        if not second:
            self._salt, self._secret = os.urandom(10), os.urandom(48)
            self._hash = hashlib.sha1(PASSWORD + self._salt).digest() + bytes(4)
            sealed = _aes(self._hash, self._secret, encrypt=True).hex().upper()
            wire.reply(_pairs({"AUTH_SESSKEY": sealed, "AUTH_VFR_DATA": self._salt.hex().upper()}) + b"\x09\0\0")
            return
        theirs = _aes(self._hash, bytes.fromhex(given["AUTH_SESSKEY"].decode()), encrypt=False)
        mixed = bytes(self._secret[i] ^ theirs[i] for i in range(16, 40))
        key_ = (hashlib.md5(mixed[:16]).digest() + hashlib.md5(mixed[16:]).digest())[:24]
        if user.upper() != USER or _password(key_, given) != PASSWORD:
            wire.reply(self._status(1017, "ORA-01017: invalid credential or not authorized; logon denied"))
            raise ClosedError
        proof = _aes(key_, os.urandom(16) + b"SERVER_TO_CLIENT" + bytes([16]) * 16, encrypt=True)
        wire.reply(
            _pairs(
                {
                    "AUTH_VERSION_NO": str(19 << 24 | 3 << 16),
                    "AUTH_SESSION_ID": str(next(_serial)),
                    "AUTH_SERIAL_NUM": "1",
                    "AUTH_SC_DBUNIQUE_NAME": "DOUBLE",
                    "AUTH_SC_SERVICE_NAME": SERVICE,
                    "AUTH_INSTANCENAME": "DOUBLE",
                    "AUTH_MAX_OPEN_CURSORS": "300",
                    "AUTH_MAX_IDEN_LENGTH": "128",
                    "AUTH_SVR_RESPONSE": proof.hex().upper(),
                }
            )
            + b"\x09\0\0"
        )

    # -- messages ---------------------------------------------------------------------------------------

    def _message(self) -> None:
        wire = self._wire
        kind = wire.u1()
        if kind == 1:
            self._protocol()
        elif kind == 2:
            wire.take(5)
            wire.lb(), wire.lb()
            while struct.unpack(">H", wire.take(2))[0]:
                wire.take(6)
            wire.reply(b"\x02\0\0")
        elif kind == 17:
            self._piggyback()
        elif kind == 3:
            number = wire.u1()
            wire.u1()
            try:
                self._function(number)
            except OracleError as exc:
                wire.reply(self._status(exc.number, exc.message))
            except jpype.JException as exc:  # not of a statement: said, where a connection that ends would say nothing
                wire.reply(self._status(600, f"ORA-00600: internal error code, arguments: [{as_oracle(exc).message}]"))
        else:
            raise ClosedError

    def _protocol(self) -> None:
        for _ in range(2):
            while self._wire.u1():
                pass
        compile_time, run_time = bytearray(55), bytearray(13)
        compile_time[7] = 12
        run_time[0], run_time[6] = 2, 4
        fdo = bytes(9) + b"\x07\xd0"
        name = b"\x01\x06\0Test double (H2)\0" + struct.pack("<H", _UTF8) + b"\1" + struct.pack("<H", 0)
        tail = struct.pack(">H", len(fdo)) + fdo + v.lb(bytes(compile_time)) + v.lb(bytes(run_time))
        self._wire.reply(name + tail)

    def _piggyback(self) -> None:
        wire = self._wire
        number = wire.u1()
        wire.u1()
        if number == 105:
            wire.u1()
            for _ in range(wire.ub()):
                self._cursors.pop(wire.ub(), None)
        elif number == 152:
            wire.u1()
            wire.b2()
        elif number == 176:
            wire.ub()
        else:
            raise ClosedError

    def _function(self, number: int) -> None:
        calls: dict[int, Callable[[], None]] = {
            118: lambda: self._authenticate(second=False),
            115: lambda: self._authenticate(second=True),
            94: self._execute,
            4: lambda: self._execute_again(query=False),
            78: lambda: self._execute_again(query=True),
            5: self._fetch_more,
            14: self._commit,
            15: self._roll_back,
            9: self._done,
            147: self._done,
            128: lambda: self._direct.prepare(),
            129: lambda: self._direct.load(),
            130: lambda: self._direct.finish(),
        }
        if number not in calls:
            raise ClosedError
        calls[number]()

    def _done(self) -> None:
        self._wire.reply(b"\x09" + v.ub(2 if self._in_transaction else 0) + v.ub(0))

    def _commit(self) -> None:
        self._faults.before_commit(self._wire)
        self._database.commit()
        self._faults.after_commit(self._wire)
        self._in_transaction = False
        self._done()

    def _roll_back(self) -> None:
        self._database.rollback()
        self._in_transaction = False
        self._done()

    # -- statements -------------------------------------------------------------------------------------

    def _execute(self) -> None:
        wire = self._wire
        options, number, has_statement = wire.ub(), wire.ub(), wire.u1()
        wire.ub(), wire.u1(), wire.ub(), wire.u1(), wire.u1(), wire.ub()
        fetched = wire.ub()
        wire.ub(), wire.u1()
        binds = wire.ub()
        wire.take(5), wire.u1()
        defines = wire.ub()
        wire.ub(), wire.take(3), wire.ub(), wire.u1(), wire.ub(), wire.ub(), wire.u1(), wire.ub(), wire.u1()
        wire.u1(), wire.ub(), wire.u1(), wire.ub(), wire.u1(), wire.u1(), wire.ub()
        text = (wire.lb() or b"").decode() if has_statement else None
        settings = [wire.ub() for _ in range(13)]
        if number not in self._cursors:
            number = next(self._numbers)
            self._cursors[number] = Cursor(number, text or "")
        cursor = self._cursors[number]
        cursor.statement = text or cursor.statement
        described = [self._variable() for _ in range(defines or binds)]
        if binds and not defines:
            cursor.types, cursor.sizes = [kind for kind, _ in described], [size for _, size in described]
        query = bool(settings[7])
        times = 1 if query else max(settings[1], 1)
        rows = self._values(cursor, times) if binds and not defines else [[]] * times
        self._run(cursor, rows, query, fetched if options & _FETCH else 0, options)

    def _execute_again(self, *, query: bool) -> None:
        wire = self._wire
        cursor = self._cursors.get(wire.ub())
        count = wire.ub()
        wire.ub()
        committing = wire.ub() & 1
        if cursor is None:
            raise OracleError(1001, "invalid cursor")
        times = 1 if query else count
        rows = self._values(cursor, times) if cursor.types else [[]] * times
        self._run(cursor, rows, query, count if query else 0, _COMMIT if committing else 0)

    def _variable(self) -> tuple[int, int]:
        """Return type and size of a variable."""
        wire = self._wire
        kind = wire.u1()
        wire.take(3)
        size = wire.ub()
        wire.ub(), wire.ub(), wire.b2(), wire.ub(), wire.ub(), wire.u1(), wire.ub(), wire.ub()
        return kind, size

    def _values(self, cursor: Cursor, count: int) -> list[Row]:
        """Return rows of values; those of long variables come last in each."""
        order = sorted(range(len(cursor.types)), key=lambda index: cursor.sizes[index] > 32767)
        rows = []
        for _ in range(count):
            if self._wire.u1() != 7:
                raise ClosedError
            row: list[bytes | None] = [None] * len(order)
            for index in order:
                row[index] = self._wire.lb()
            rows.append(row)
        return rows

    def _run(self, cursor: Cursor, rows: Sequence[Row], query: bool, count: int, options: int) -> None:
        text = cursor.statement
        if self._faults.arm(text) or _QUIET.match(text):
            self._wire.reply(self._status(0, None, cursor=cursor.number))
            return
        self._faults.before_statement(self._wire, text)
        if re.match(r"\s*set transaction read only", text, re.IGNORECASE):
            self._database.take_snapshot()
            self._wire.reply(self._status(0, None, cursor=cursor.number))
        elif table := translation.locked(text):
            self._database.lock(table)
            self._wire.reply(self._status(0, None, cursor=cursor.number))
        elif _DDL.match(text):
            self._database.define(text)
            self._in_transaction = False
            self._wire.reply(self._status(0, None, cursor=cursor.number))
        elif query:
            self._query(cursor, rows[0])
            self._send_rows(cursor, count, self._description(cursor))
        else:
            self._change(cursor, rows, options)

    def _query(self, cursor: Cursor, row: Row) -> None:
        if canned := self._canned(cursor, row):
            cursor.columns, cursor.rows = [("X", v.VARCHAR, 0, 0, 100)], iter(canned)
            return
        prepared = self._prepared(cursor)
        for index, value in enumerate(row):
            bind(prepared, index + 1, cursor.types[index], value)
        try:
            result = prepared.executeQuery()
        except jpype.JException as exc:
            raise as_oracle(exc) from exc
        cursor.columns = describe(result.getMetaData())
        cursor.rows = _result_rows(result, [kind for _, kind, *_ in cursor.columns])

    def _canned(self, cursor: Cursor, row: Row) -> list[Row]:
        """Return the answer to a question about the database itself."""
        if re.search(r"user_part_tables", cursor.statement):
            length = self._database.partition_ns((row[0] or b"").decode())
            return [[None if length is None else str(length).encode()]]
        return [[answer.encode()] for pattern, answer in _CANNED if re.search(pattern, cursor.statement, re.IGNORECASE)]

    def _change(self, cursor: Cursor, rows: Sequence[Row], options: int) -> None:
        prepared = self._prepared(cursor)
        total, errors = 0, []
        for number, row in enumerate(rows):
            for index, value in enumerate(row):
                bind(prepared, index + 1, cursor.types[index], value)
            try:
                prepared.execute()
                total += max(prepared.getUpdateCount(), 0)
            except jpype.JException as exc:
                error = as_oracle(exc)
                if not options & _BATCH_ERRORS:
                    raise error from exc
                errors.append((number, error))
        self._in_transaction = bool(_DML.match(cursor.statement))
        if options & _COMMIT and not errors:
            self._commit()
            return
        number, message = (24381, "ORA-24381: error(s) in array DML") if errors else (0, None)
        self._wire.reply(self._status(number, message, cursor=cursor.number, rows=total, errors=errors))

    def _prepared(self, cursor: Cursor) -> Any:
        """Return the statement of a cursor in H2, which takes longer to plan a large one than to run it."""
        what = cursor.statement, tuple(cursor.types)
        if cursor.prepared[0] != what:
            cursor.prepared = what, self._database.prepare(cursor.statement, cursor.types)
        return cursor.prepared[1]

    def _fetch_more(self) -> None:
        cursor = self._cursors[self._wire.ub()]
        self._send_rows(cursor, self._wire.ub(), b"")

    # -- replies ----------------------------------------------------------------------------------------

    def _description(self, cursor: Cursor) -> bytes:
        head = b"\x10" + v.lb(b"\1") + v.ub(1) + v.ub(len(cursor.columns)) + b"\1"
        return head + describe_columns(cursor.columns) + v.ub(0) * 6

    def _send_rows(self, cursor: Cursor, count: int, head: bytes) -> None:
        body = bytearray(head)
        sent = 0
        ended = False
        if count:
            body += b"\x06\0" + v.ub(1) + v.ub(0) + v.ub(1) + v.ub(0) * 3
            for row in itertools.islice(cursor.rows, count):
                body += b"\x07" + b"".join(v.lb(value) for value in row)
                sent += 1
            ended = sent < count
        number, message = (1403, "ORA-01403: no data found") if ended else (0, None)
        self._wire.reply(bytes(body) + self._status(number, message, cursor=cursor.number, rows=sent))

    def _status(
        self,
        number: int,
        message: str | None,
        *,
        cursor: int = 0,
        rows: int = 0,
        errors: Sequence[tuple[int, OracleError]] = (),
    ) -> bytes:
        """Return the message that ends a call: its error, if any, the rows it changed, and which of them failed."""
        body = b"\x04" + v.ub(2 if self._in_transaction else 0) + v.ub(0) * 2 + v.ub(number & 0xFFFF) + v.ub(0) * 2
        body += v.ub(cursor) + v.ub(0) + bytes(6) + v.ub(0) * 2 + b"\0" + v.ub(0) * 3 + b"\0\0" + v.ub(0) * 3
        body += _list([v.ub(error.number) for _, error in errors])
        body += _list([v.ub(row) for row, _ in errors])
        texts = [error.message.encode()[:240] for _, error in errors]
        body += _list([v.ub(len(text)) + v.lb(text) + b"\0\0" for text in texts])
        body += v.ub(number) + v.ub(rows)
        return body + (v.lb((message or "").encode()[:250]) if number else b"")


def describe_columns(columns: Sequence[tuple[str, int, int, int, int]]) -> bytes:
    """Return the description of columns; those that may be null are all of them."""
    body = b""
    for position, (name, kind, precision, scale, size) in enumerate(columns, 1):
        text = kind == v.VARCHAR
        body += bytes([kind, 0, precision & 255, scale & 255]) + v.ub(size) + v.ub(0) * 4
        body += v.ub(_UTF8 if text else 0) + bytes([text]) + v.ub(size if text else 0) + v.ub(0)
        body += b"\1" + bytes([min(len(name), 255)]) + v.b2(name) + v.ub(0) * 2 + v.ub(position) + v.ub(0)
    return body


def _result_rows(result: Any, kinds: Sequence[int]) -> Iterator[Row]:
    while result.next():
        yield [fetch(result, index, kind) for index, kind in enumerate(kinds, 1)]


def _list(items: Sequence[bytes]) -> bytes:
    return v.ub(len(items)) + (b"\1" + b"".join(items) if items else b"")


def _pairs(entries: dict[str, str]) -> bytes:
    body = b"\x08" + v.ub(len(entries))
    for key, value in entries.items():
        body += v.b2(key) + v.b2(value) + (v.ub(0x1B25) if key == "AUTH_VFR_DATA" else b"\0")
    return body


def _password(key: bytes, given: dict[str, bytes]) -> bytes | None:
    try:
        plain = _aes(key, bytes.fromhex(given["AUTH_PASSWORD"].decode()), encrypt=False)
    except (KeyError, ValueError):
        return None
    return plain[16 : -plain[-1]]


def _aes(key: bytes, data: bytes, *, encrypt: bool) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16)))
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return context.update(data) + context.finalize()
