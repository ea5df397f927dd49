"""What the configuration says of a SQL backend."""

from __future__ import annotations

from pydantic import Field, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from archiver.backends.sql.dialects import DIALECTS, missing_packages
from archiver.ports import Options


class SqlOptions(Options):
    """Where the database is, and how its tables begin."""

    url: str = Field(
        repr=False,
        description="sqlite:///warm.db (relative to the data directory), postgresql://user@host/database (leave the "
        "password to PGPASSWORD or ~/.pgpass) or oracle+oracledb://user@host:1521?service_name=name (ORACLE_PASSWORD)",
    )
    prefix: str = Field(
        "forebay_",
        pattern=r"^[a-z][a-z0-9_]{0,15}$",
        description="start of the name of every table; archives that share a database differ in it",
    )

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError as exc:
            raise ValueError("not a database URL; write sqlite:///warm.db or postgresql://user@host/database") from exc
        dialect = url.get_backend_name()
        if dialect not in DIALECTS:
            raise ValueError(f"no such database here; write one of {', '.join(f'{name}://' for name in DIALECTS)}")
        if dialect == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("a database in memory keeps nothing; write a file, such as sqlite:///warm.db")
        if absent := missing_packages(dialect):
            raise ValueError(f"needs {' and '.join(absent)}; install with: pip install 'forebay[{dialect}]'")
        return value
