"""Every error of the drivers has a verdict."""

import sqlite3
import sys

import adbc_driver_manager
import psycopg
import pytest
from psycopg import errors
from sqlalchemy import exc as sa_exc

from archiver.backends.sql.dialects import load, sqlstate
from archiver.backends.sql.dialects.sqlite import CODES
from archiver.backends.sql.errors import translated
from archiver.backends.sql.tables import Tables
from archiver.model import ConfigurationError, PermanentError, TransientError

SQLSTATES = sorted(
    {error.sqlstate for error in vars(errors).values() if isinstance(getattr(error, "sqlstate", None), str)}
)
# sqlite.org/rescode.html: the primary codes that are errors
RESULTS = [
    *("ERROR", "INTERNAL", "PERM", "ABORT", "BUSY", "LOCKED", "NOMEM", "READONLY", "INTERRUPT", "IOERR", "CORRUPT"),
    *("NOTFOUND", "FULL", "CANTOPEN", "PROTOCOL", "EMPTY", "SCHEMA", "TOOBIG", "CONSTRAINT", "MISMATCH", "MISUSE"),
    *("NOLFS", "AUTH", "FORMAT", "RANGE", "NOTADB"),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request, tmp_path):
    url = {"sqlite": "sqlite:///x.db", "postgresql": "postgresql://h/d"}[request.param]
    return load(url, tmp_path, read_only=False, tables=Tables("t_"))


@pytest.fixture
def postgresql_dialect(tmp_path):
    return load("postgresql://h/d", tmp_path, read_only=False, tables=Tables("t_"))


def test_the_walk_finds_the_errors() -> None:
    assert len(SQLSTATES) > 200


@pytest.mark.parametrize("state", SQLSTATES)
def test_every_sqlstate_is_mapped(state: str) -> None:
    assert state in sqlstate.EXCEPTIONS or state[:2] in sqlstate.CLASSES


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_code_of_sqlite_is_mapped(name: str) -> None:
    assert getattr(sqlite3, f"SQLITE_{name}") in CODES


def test_no_primary_result_code_is_new() -> None:
    extended = {value for name, value in vars(sqlite3).items() if name.startswith("SQLITE_") and name.count("_") > 1}
    primary = {value & 0xFF for value in extended if isinstance(value, int) and value > 0xFF}
    assert primary - {0, sqlite3.SQLITE_NOTICE, sqlite3.SQLITE_WARNING} <= set(CODES)


TRANSIENT = {
    "a lost connection": errors.ConnectionFailure,
    "a serialization failure": errors.SerializationFailure,
    "a deadlock": errors.DeadlockDetected,
    "a lock timeout": errors.LockNotAvailable,
    "a full disk": errors.DiskFull,
    "too many connections": errors.TooManyConnections,
    "a server that starts": errors.CannotConnectNow,
    "a server that shuts down": errors.AdminShutdown,
    "a standby after a failover": errors.ReadOnlySqlTransaction,
    "a password that is not valid now": errors.InvalidPassword,
    "a lost connection without a reply": psycopg.OperationalError,
    "a closed connection": psycopg.InterfaceError,
}
PERMANENT = {
    "a value out of range": errors.NumericValueOutOfRange,
    "a missing table": errors.UndefinedTable,
    "a missing partition": errors.CheckViolation,
    "no privilege": errors.InsufficientPrivilege,
    "a key that is there": errors.UniqueViolation,
    "a value that cannot be sent": psycopg.DataError,
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_worth_a_retry(name: str, postgresql_dialect) -> None:
    with pytest.raises(TransientError, match="doing: "), translated(postgresql_dialect, "doing"):
        raise TRANSIENT[name](name)


@pytest.mark.parametrize("name", PERMANENT)
def test_not_worth_a_retry(name: str, postgresql_dialect) -> None:
    with pytest.raises(PermanentError, match="doing: "), translated(postgresql_dialect, "doing"):
        raise PERMANENT[name](name)


@pytest.mark.parametrize("code", adbc_driver_manager.AdbcStatusCode)
def test_every_status_of_adbc_is_mapped(code: adbc_driver_manager.AdbcStatusCode, postgresql_dialect) -> None:
    kinds = (*adbc_driver_manager.DatabaseError.__subclasses__(), adbc_driver_manager.InterfaceError)
    for kind in kinds:
        error = kind("x") if kind is adbc_driver_manager.NotSupportedError else kind("x", status_code=code)
        assert postgresql_dialect.verdict(error) in (TransientError, PermanentError)


def test_an_sqlstate_of_adbc_counts(postgresql_dialect) -> None:
    code = adbc_driver_manager.AdbcStatusCode.UNKNOWN
    error = adbc_driver_manager.OperationalError("x", status_code=code, sqlstate="42501")
    assert postgresql_dialect.verdict(error) is PermanentError


def test_errors_of_the_pool_and_of_sqlalchemy(dialect) -> None:
    with pytest.raises(TransientError), translated(dialect, "x"):
        raise sa_exc.TimeoutError("no connection is free")
    with pytest.raises(PermanentError), translated(dialect, "x"):
        raise sa_exc.InvalidRequestError("wrong use")


def test_errors_of_others_pass(dialect) -> None:
    with pytest.raises(KeyError), translated(dialect, "x"):
        raise KeyError("not of the driver")


def test_an_error_of_sqlite_says_what_and_where(tmp_path) -> None:
    sqlite = load("sqlite:///x.db", tmp_path, read_only=False, tables=Tables("t_"))
    with (
        pytest.raises(PermanentError, match="backend 'warm', write: OperationalError: no such table: t"),
        translated(sqlite, "backend 'warm', write"),
        sqlite.engine.connect() as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM t")
    sqlite.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("warm.db", "not a database URL"),
        ("mysql://h/d", "write one of sqlite://, postgresql://"),
        ("sqlite://", "keeps nothing"),
        ("sqlite:///:memory:", "keeps nothing"),
    ],
)
def test_a_wrong_url_says_what_to_write(url: str, message: str) -> None:
    from pydantic import ValidationError

    from archiver.backends.sql import SqlOptions

    with pytest.raises(ValidationError, match=message):
        SqlOptions(url=url)


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from archiver import config

    monkeypatch.setitem(sys.modules, "psycopg", None)
    document = {"backends": [{"name": "warm", "kind": "sql", "url": "postgresql://h/d"}]}
    with pytest.raises(ConfigurationError, match=r"needs psycopg; install with: pip install 'forebay\[postgresql\]'"):
        config.parse(document)
