"""A backend on a database of its own."""

import itertools

import pytest

from archiver.backends.influx import InfluxBackend, InfluxOptions
from archiver.model.group import ArchiveGroup
from archiver.ports import BackendContext
from archiver.testing.harness import GROUPS
from archiver.testing.influxdb import ORGANIZATION, TOKEN, influxql
from archiver.testing.patience import SOON_S

_numbers = itertools.count()


@pytest.fixture
def database(influxdb, tmp_path):
    """The name of a database that is not there yet; gone afterwards."""
    name = f"unit-{tmp_path.name}-{next(_numbers)}"
    yield name
    influxql(influxdb.url, name, f'DROP DATABASE "{name}"')


@pytest.fixture
def opening(influxdb, database, tmp_path, monkeypatch):
    """Give a function that opens a backend on the database; all are closed afterwards."""
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    opened = []

    def open_(url=None, *, groups=GROUPS, read_only=False, **options):
        fixed = {"database": database, "organization": ORGANIZATION, "timeout": f"{SOON_S:g}s"}
        options = {"url": url or influxdb.url, **fixed, **options}
        context = BackendContext("hot", tmp_path, groups, read_only)
        backend = InfluxBackend(context, InfluxOptions.model_validate(options))
        opened.append(backend)
        backend.open()
        return backend

    yield open_
    for backend in opened:
        backend.close()


@pytest.fixture
def ask(influxdb, database):
    """Give a function that asks the server without the backend."""
    return lambda statement: influxql(influxdb.url, database, statement)


@pytest.fixture
def long_segments():
    """Groups as after a change of their segments' length."""
    return {
        name: ArchiveGroup(name, ("*",), ("hot",), segment_ns=7 * group.segment_ns) for name, group in GROUPS.items()
    }
