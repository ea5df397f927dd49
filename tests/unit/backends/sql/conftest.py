"""A backend per database: SQLite in a file, PostgreSQL where it is installed, and the stand-in for Oracle."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from archiver.backends.sql import SqlBackend, SqlOptions
from archiver.model import ArchiveGroup
from archiver.ports import BackendContext

_PREFIXES = (f"t{number}_" for number in count())
Open = Callable[..., SqlBackend]


@pytest.fixture(params=["sqlite", "postgresql", "oracle"])
def options(request: pytest.FixtureRequest) -> SqlOptions:
    if request.param == "sqlite":
        url = "sqlite:///warm.db"
    elif request.param == "postgresql":
        url = request.getfixturevalue("postgresql").url
    else:
        url = request.getfixturevalue("oracle_double_url")
    return SqlOptions(url=url, prefix=next(_PREFIXES))


@pytest.fixture
def open_backend(tmp_path: Path) -> Iterator[Open]:
    """Open a backend on options; several on the same are several processes' view of one database."""
    opened: list[SqlBackend] = []

    def opening(options: SqlOptions, **groups: ArchiveGroup) -> SqlBackend:
        backend = SqlBackend(BackendContext("warm", tmp_path, groups), options)
        backend.open()
        opened.append(backend)
        return backend

    yield opening
    for backend in opened:
        backend.close()


@pytest.fixture
def backend(options: SqlOptions, open_backend: Open) -> SqlBackend:
    return open_backend(options)
