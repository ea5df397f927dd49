"""The one table that says how the contract suites get at each registered kind."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from archiver import registry
from archiver.model import ConfigurationError
from archiver.ports import BackendContext, Options, Push, Source
from archiver.sources import line_protocol
from archiver.sources.delivery import deliver
from archiver.sources.replay import ReplayOptions, ReplaySource
from archiver.sources.simulator import SimulatorOptions, SimulatorSource
from archiver.testing import oracle
from archiver.testing.harness import (
    BackendHarness,
    DirectoryJournalHarness,
    JournalHarness,
    PluginHarness,
    VolatileHarness,
)
from archiver.testing.passing_contract import PassingHarness
from archiver.testing.source_contract import SourceHarness

T0 = 1_767_225_600_000_000_000
Make = Callable[[Any, Path, pytest.FixtureRequest], BackendHarness]


def _memory(plugin: Any, root: Path, request: pytest.FixtureRequest) -> BackendHarness:
    return VolatileHarness(plugin, root)


def _parquet(plugin: Any, root: Path, request: pytest.FixtureRequest) -> BackendHarness:
    return PluginHarness(plugin, root, raw_count=_count_parquet)


def _sqlite(plugin: Any, root: Path, request: pytest.FixtureRequest) -> BackendHarness:
    return PluginHarness(plugin, root, lambda number: {"url": "sqlite:///warm.db"}, _count_sqlite)


def _postgresql(plugin: Any, root: Path, request: pytest.FixtureRequest) -> BackendHarness:
    url = request.getfixturevalue("postgresql").url
    return PluginHarness(
        plugin, root, lambda number: {"url": url, "prefix": f"contract{number}_"}, _count_postgresql, _drop_postgresql
    )


def _oracle(plugin: Any, root: Path, request: pytest.FixtureRequest, fixture: str) -> BackendHarness:
    url = request.getfixturevalue(fixture)
    from archiver.testing.oracle import oracle_harness

    return oracle_harness(plugin, root, url)


def _influx(plugin: Any, root: Path, request: pytest.FixtureRequest, fixture: str, **options: str) -> BackendHarness:
    server = request.getfixturevalue(fixture)
    from archiver.testing.influxdb import TOKEN, influx_harness

    request.getfixturevalue("monkeypatch").setenv("INFLUX_TOKEN", TOKEN)
    return influx_harness(plugin, root, server.url, **options)


BACKENDS: dict[str, dict[str, Make]] = {
    "memory": {"memory": _memory},
    "parquet": {"parquet": _parquet},
    "influx": {
        "influx-1": partial(_influx, fixture="influxdb"),
        "influx-2-double": partial(_influx, fixture="influxdb2", organization="forebay"),
    },
    "sql": {
        "sql-sqlite": _sqlite,
        "sql-postgresql": _postgresql,
        "sql-oracle-double": partial(_oracle, fixture="oracle_double_url"),
    },
}
"""Kind of backend to the harnesses that test it, by name. A new kind needs an entry: a test says so."""

if os.environ.get(oracle.VARIABLE):  # else one test says that it is not: `test_a_real_oracle`
    BACKENDS["sql"]["sql-oracle"] = partial(_oracle, fixture="oracle_url")

PASSING: dict[str, Callable[[Path, pytest.FixtureRequest], PassingHarness]] = {
    "kafka": lambda root, request: _kafka_backend(root, request),
    "stream": lambda root, request: _stream(root),
}
"""Kind of backend that only passes samples on to its harness; it is under another suite."""

JOURNALS: dict[str, Callable[[Any, Path, pytest.FixtureRequest], JournalHarness]] = {
    "file": lambda plugin, root, _: DirectoryJournalHarness(plugin, root, lambda size: {"max_bytes": size}),
    "kafka": lambda plugin, root, request: _kafka_journal(root, request),
}
"""Kind of journal to its harness."""


def _kafka_journal(root: Path, request: pytest.FixtureRequest) -> JournalHarness:
    server = request.getfixturevalue("kafka")
    from archiver.testing.kafka import KafkaJournalHarness

    return KafkaJournalHarness(server, root)


def _kafka_backend(root: Path, request: pytest.FixtureRequest) -> PassingHarness:
    server = request.getfixturevalue("kafka")
    from archiver.testing.kafka import KafkaBackendHarness

    return KafkaBackendHarness(server, root)


def _stream(root: Path) -> PassingHarness:
    from archiver.testing.stream import StreamHarness

    return StreamHarness(root)


def _host(root: Path, patch: pytest.MonkeyPatch) -> SourceHarness:
    import psutil

    from archiver.sources.host import HostOptions, HostSource

    def broken() -> Source:
        patch.setattr(psutil, "disk_usage", _fail)
        return HostSource("host", HostOptions(interval="5ms"))

    return SourceHarness(lambda: HostSource("host", HostOptions(interval="5ms")), broken)


def _simulator(root: Path, patch: pytest.MonkeyPatch) -> SourceHarness:
    return SourceHarness(lambda: SimulatorSource("plant", SimulatorOptions(interval="1ms")))


def _replay(root: Path, patch: pytest.MonkeyPatch, **options: Any) -> SourceHarness:
    def create(name: str = "recorded.csv") -> Source:
        given = {"file": root / name, "time": ("t",), "time_unit": "1ms", "time_start": "2026-01-01T00:00:00Z"}
        return ReplaySource("recorded", ReplayOptions.model_validate(given | options))

    rows = [f"{i // 2},{i},{'' if i == 7 else i / 3}" for i in range(1000)]  # two rows of each time
    (root / "recorded.csv").write_text("\n".join(["t,a,b", *rows]))
    return SourceHarness(create, lambda: create("nowhere.csv"), ends=True)


class LineProtocolFeed:
    """Bodies of line protocol, as they come in over HTTP, in the shape of a source."""

    Options = Options
    name = "lines"

    async def run(self, push: Push) -> None:
        decoder = line_protocol.Decoder()
        for start in range(0, 100, 10):
            lines = [f"m,element=P{i % 3} value={i}.5,status={i}i {T0 + i}" for i in range(start, start + 10)]
            await deliver(push, decoder.decode("\n".join(lines).encode(), receive_time=T0).batch)


def _lines(root: Path, patch: pytest.MonkeyPatch) -> SourceHarness:
    return SourceHarness(LineProtocolFeed, ends=True)


def _fail(mount: str) -> None:
    raise PermissionError(mount)


SOURCES: dict[str, dict[str, Callable[[Path, pytest.MonkeyPatch], SourceHarness]]] = {
    "host": {"host": _host},
    "simulator": {"simulator": _simulator},
    "replay": {"replay": _replay, "replay-paced": partial(_replay, speed=1)},
    "": {"line_protocol": _lines},
}
"""Kind of source to the harnesses that test it, by name; what is not registered as a source comes last."""


def _count_parquet(context: BackendContext, options: Mapping[str, Any]) -> int:
    import pyarrow.parquet as pq
    from deltalake import DeltaTable

    table = DeltaTable(str(context.directory / context.name))
    return sum(pq.read_metadata(uri.removeprefix("file://")).num_rows for uri in table.file_uris())


def _count_sqlite(context: BackendContext, options: Mapping[str, Any]) -> int:
    with closing(sqlite3.connect(context.directory / "warm.db")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%samples%'")
        return sum(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in tables.fetchall())


def _count_postgresql(context: BackendContext, options: Mapping[str, Any]) -> int:
    import psycopg

    with psycopg.connect(options["url"]) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'p' AND starts_with(relname, %s)",
            (f"{options['prefix']}samples_",),
        )
        return sum(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in tables.fetchall())


def _drop_postgresql(options: Mapping[str, Any]) -> None:
    import psycopg

    with psycopg.connect(options["url"]) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND starts_with(tablename, %s)",
            (options["prefix"],),
        )
        for (name,) in tables.fetchall():
            connection.execute(f'DROP TABLE IF EXISTS "{name}" CASCADE')


def every_backend() -> list[Any]:
    """Return a parameter per harness of every registered kind; a kind without one is a parameter that fails."""
    found = []
    for kind in sorted(set(registry.names(registry.BACKENDS)) - PASSING.keys()):
        makes: Mapping[str, Make | None] = BACKENDS.get(kind) or {kind: None}
        found += [pytest.param((kind, make), id=name) for name, make in makes.items()]
    return found


@pytest.fixture(params=every_backend())
def backend_harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackendHarness]:
    """Yield the harness that the parameter names."""
    kind, make = request.param
    if make is None:
        pytest.fail(f"backend kind {kind!r} is registered and has no harness: add it to {__file__}")
    try:
        plugin = registry.load(registry.BACKENDS, kind)
    except ConfigurationError as exc:
        pytest.skip(str(exc))
    harness = make(plugin, tmp_path, request)
    yield harness
    harness.close()


@pytest.fixture(params=sorted(PASSING))
def passing_harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PassingHarness]:
    """Yield the harness of a backend that only passes samples on."""
    try:
        registry.load(registry.BACKENDS, request.param)
    except ConfigurationError as exc:
        pytest.skip(str(exc))
    harness = PASSING[request.param](tmp_path, request)
    yield harness
    harness.close()


@pytest.fixture(params=registry.names(registry.JOURNALS))
def journal_harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JournalHarness]:
    """Yield the harness of a registered journal."""
    kind = request.param
    if kind not in JOURNALS:
        pytest.fail(f"journal kind {kind!r} is registered and has no harness: add it to {__file__}")
    try:
        plugin = registry.load(registry.JOURNALS, kind)
    except ConfigurationError as exc:
        pytest.skip(str(exc))
    harness = JOURNALS[kind](plugin, tmp_path, request)
    yield harness
    harness.close()


def every_source() -> list[Any]:
    """Return a parameter per harness of every registered kind; a kind without one is a parameter that fails."""
    kinds = [*registry.names(registry.SOURCES), ""]
    return [
        pytest.param((kind, make), id=name)
        for kind in kinds
        for name, make in (SOURCES.get(kind) or {kind: None}).items()
    ]


@pytest.fixture(params=every_source())
def source_harness(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceHarness:
    """Return the harness that the parameter names."""
    kind, make = request.param
    if make is None:
        pytest.fail(f"source kind {kind!r} is registered and has no harness: add it to {__file__}")
    try:
        _ = kind and registry.load(registry.SOURCES, kind)
    except ConfigurationError as exc:
        pytest.skip(str(exc))
    return make(tmp_path, monkeypatch)
