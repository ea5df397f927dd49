"""The database behind the double: H2 in Oracle mode, in this process, by JPype."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import jpype
import translation
import values as v
from wire import OracleError

SCHEMA = "SCADA"
_NUMBERS = {"23505": 1, "42S01": 955, "42S02": 942, "42S22": 904, "22001": 12899, "23502": 1400, "22003": 1438}
_NUMBERS |= {"23513": 2290, "57014": 1013, "40001": 60, "HYT00": 30006}
_OWN_TABLES = (
    f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
    f"SET SCHEMA {SCHEMA}",
    "CREATE VIEW IF NOT EXISTS all_tables AS SELECT table_name, table_schema owner, NULL tablespace_name, "
    "'NO' iot_type, NULL duration FROM information_schema.tables WHERE table_type = 'BASE TABLE'",
    "CREATE TABLE IF NOT EXISTS temporary_tables (table_name VARCHAR, definition VARCHAR)",
    "CREATE TABLE IF NOT EXISTS partition_lengths (table_name VARCHAR, length NUMERIC(19))",
    "CREATE VIEW IF NOT EXISTS user_tables AS SELECT table_name FROM all_tables WHERE owner = 'SCADA' "
    "UNION ALL SELECT table_name FROM temporary_tables",
    "CREATE VIEW IF NOT EXISTS all_views AS SELECT table_name view_name, table_schema owner FROM "
    "information_schema.views",
    "CREATE TABLE IF NOT EXISTS user_tab_partitions (table_name VARCHAR, partition_name VARCHAR, high_value VARCHAR)",
    "CREATE TABLE IF NOT EXISTS user_segments (segment_name VARCHAR, partition_name VARCHAR, bytes NUMBER)",
)
_LOCK_WAIT_S = 300
_OPTIONS = "MODE=Oracle;DEFAULT_NULL_ORDERING=HIGH;DB_CLOSE_DELAY=-1;WRITE_DELAY=0;LOCK_TIMEOUT=300000"
_SNAPSHOT, _READ_COMMITTED = 6, 2
_INTEGERS = {4: 10, 5: 5, -5: 19, -6: 3}


class Store:
    """What all sessions share.

    Parameters
    ----------
    jar : Path
        H2.
    place : str
        In the words of H2: ``mem:x``, or ``file:/folder/name`` to outlast a restart.
    """

    def __init__(self, jar: Path, place: str) -> None:
        jpype.startJVM("-Xmx1g", classpath=[str(jar)], convertStrings=False)
        jpype.JClass("org.h2.Driver")
        self._url = f"jdbc:h2:{place};{_OPTIONS}"
        self.partition_ns: dict[str, int] = {}
        self.temporary: dict[str, str] = {}
        self.defining = threading.Lock()
        self.locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        connection = self.connect()
        for statement in _OWN_TABLES:
            connection.createStatement().execute(statement)
        rows = connection.createStatement().executeQuery("SELECT * FROM temporary_tables")
        while rows.next():
            self.temporary[str(rows.getString(1))] = str(rows.getString(2))
        rows = connection.createStatement().executeQuery("SELECT * FROM partition_lengths")
        while rows.next():
            self.partition_ns[str(rows.getString(1))] = int(rows.getLong(2))
        connection.close()

    def connect(self) -> Any:
        connection = jpype.java.sql.DriverManager.getConnection(self._url, "sa", "")
        connection.setAutoCommit(False)
        return connection


class Database:
    """One session's view of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connect()
        self._connection.createStatement().execute(f"SET SCHEMA {SCHEMA}")
        self._temporary: set[str] = set()
        self._locked: dict[str, threading.Lock] = {}

    def commit(self) -> None:
        self._connection.commit()
        self._end()

    def rollback(self) -> None:
        self._connection.rollback()
        self._end()

    def close(self) -> None:
        try:
            self.rollback()
        finally:
            self._connection.close()

    def lock(self, table: str) -> None:
        """Keep a table from others that ask for it, until the end of the transaction."""
        if table not in self._locked:
            lock = self._store.locks[table]
            if not lock.acquire(timeout=_LOCK_WAIT_S):
                raise OracleError(30006, "resource busy; acquire with WAIT timeout expired")
            self._locked[table] = lock

    def take_snapshot(self) -> None:
        """Let all statements until the end of the transaction see one instant."""
        self._connection.setTransactionIsolation(_SNAPSHOT)

    def prepare(self, statement: str, types: Sequence[int]) -> Any:
        """Return a prepared statement, after the temporary tables of this session are there."""
        self._make_temporary()
        try:
            return self._connection.prepareStatement(translation.to_h2(statement, types))
        except jpype.JException as exc:
            raise as_oracle(exc) from exc

    def define(self, statement: str) -> None:
        """Make, change or drop a table; what was done before is committed, as Oracle does."""
        self.commit()
        with self._store.defining:
            if gone := translation.dropped_partition(statement):
                self._drop_partition(*gone)
            elif made := translation.temporary(statement):
                name, columns = made
                self._execute(f"INSERT INTO temporary_tables VALUES ('{name}', '{columns}')")
                self._store.temporary[name] = columns  # each session makes its own
            elif (dropped := translation.dropped(statement)) in self._store.temporary:
                self._execute(f"DELETE FROM temporary_tables WHERE table_name = '{dropped}'")
                del self._store.temporary[dropped]
            else:
                self._execute(translation.to_h2(statement, []))
                if parted := translation.partitions(statement):
                    self._store.partition_ns[parted[0]] = parted[1]
                    self._execute(f"INSERT INTO partition_lengths VALUES ('{parted[0]}', {parted[1]})")
        self.commit()

    def partition_ns(self, table: str) -> int | None:
        return self._store.partition_ns.get(table)

    def describe(self, table: str, columns: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
        """Return name, type, precision, scale and size of columns."""
        return describe(self.prepare(f"SELECT {', '.join(columns)} FROM {table}", []).getMetaData())

    def _execute(self, statement: str) -> None:
        try:
            self._connection.createStatement().execute(statement)
        except jpype.JException as exc:
            raise as_oracle(exc) from exc

    def _end(self) -> None:
        try:
            self._connection.setTransactionIsolation(_READ_COMMITTED)
            for name in self._temporary:
                self._connection.createStatement().execute(f"DELETE FROM {name}")
            self._connection.commit()
        finally:
            while self._locked:
                self._locked.popitem()[1].release()

    def _make_temporary(self) -> None:
        for name, columns in list(self._store.temporary.items()):  # another session may make or drop one meanwhile
            if name not in self._temporary:
                self._execute(f"CREATE LOCAL TEMPORARY TABLE {name} {columns} TRANSACTIONAL")
                self._temporary.add(name)

    def _drop_partition(self, table: str, time: int) -> None:
        length = self._store.partition_ns[table]
        start = time // length * length
        where = f"source_time >= {start} AND source_time < {start + length}"
        if not self._connection.createStatement().executeUpdate(f"DELETE FROM {table} WHERE {where}"):
            raise OracleError(2149, "Specified partition does not exist")


def describe(metadata: Any) -> list[tuple[str, int, int, int, int]]:
    """Return name, type, precision, scale and size of the columns of a result."""
    found = []
    for index in range(1, metadata.getColumnCount() + 1):
        code = metadata.getColumnType(index)
        kind, size = _kind(code)
        precision, scale = metadata.getPrecision(index), metadata.getScale(index)
        if kind != v.NUMBER:
            precision, scale = 0, 0
        elif code not in (2, 3):
            precision, scale = _INTEGERS.get(code, 38), 0
        found.append((str(metadata.getColumnLabel(index)), kind, min(precision, 38), scale if scale <= 38 else 0, size))
    return found


def bind(statement: Any, index: int, kind: int, data: bytes | None) -> None:
    """Set a variable of a prepared statement to a value as it came over the wire."""
    if data is None:
        statement.setNull(index, 0)
    elif kind == v.NUMBER:
        number = v.decode_number(data)
        if number == number.to_integral_value() and abs(number) < 2**63:
            statement.setLong(index, int(number))
        else:
            statement.setBigDecimal(index, jpype.java.math.BigDecimal(str(number)))
    elif kind == v.BINARY_DOUBLE:
        statement.setDouble(index, v.decode_double(data))
    elif kind in (v.TIMESTAMP, v.DATE, v.TIMESTAMP_TZ, v.TIMESTAMP_LTZ):
        statement.setObject(index, jpype.java.time.LocalDateTime.of(*v.decode_time(data)))
    elif kind in (v.RAW, v.LONG_RAW, v.BLOB):
        statement.setBytes(index, jpype.JArray(jpype.JByte)(data))
    else:
        statement.setString(index, data.decode())


def fetch(result: Any, index: int, kind: int) -> bytes | None:
    """Return a value of the current row as it goes over the wire; an empty text is null, as Oracle has it."""
    if kind == v.NUMBER:
        number = result.getString(index)
        return None if number is None else _encoded(str(number))
    if kind == v.BINARY_DOUBLE:
        value = float(result.getDouble(index))
        return None if result.wasNull() else v.encode_double(value)
    if kind == v.TIMESTAMP:
        at = result.getObject(index, jpype.java.time.LocalDateTime.class_)
        parts = ("getYear", "getMonthValue", "getDayOfMonth", "getHour", "getMinute", "getSecond", "getNano")
        return None if at is None else v.encode_time(*(getattr(at, part)() for part in parts))
    if kind == v.RAW:
        data = result.getBytes(index)
        return None if data is None or not len(data) else bytes(memoryview(data).cast("B"))
    text = result.getString(index)
    return None if text is None or text.length() == 0 else str(text).encode()


def _encoded(number: str) -> bytes:
    return v.encode_integer(int(number)) if number.lstrip("-").isdigit() else v.encode_number(Decimal(number))


def as_oracle(error: Any) -> OracleError:
    """Return the error of Oracle that stands for one of H2."""
    state = str(error.getSQLState()) if hasattr(error, "getSQLState") else ""
    message = str(error.getMessage()).partition("\n")[0][:200]
    number = _NUMBERS.get(state[:5], 900)
    if number == 1:
        key = re.search(r"CONSTRAINT_\w+|PRIMARY_KEY\w*", message)
        message = f"unique constraint ({SCHEMA}.{key[0] if key else '?'}) violated"
    return OracleError(number, message)


def _kind(code: int) -> tuple[int, int]:
    """Return type and size on the wire of a type of JDBC."""
    if code in (2, 3, 4, 5, -5, -6, -7, 16):
        return v.NUMBER, 22
    if code in (6, 7, 8):
        return v.BINARY_DOUBLE, 8
    if code in (91, 93, 2014):
        return v.TIMESTAMP, 11
    return (v.RAW, 2000) if code in (-2, -3, 2004) else (v.VARCHAR, 4000)
