"""Profiles of Hypothesis, and what no test may leave behind."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("archiver.testing")

from hypothesis import HealthCheck, Verbosity, settings  # noqa: E402

from archiver.testing.patience import SOON_S  # noqa: E402
from archiver.testing.postgresql import PostgresqlServer, UnavailableError, running_server  # noqa: E402

_QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
settings.register_profile("default", max_examples=25, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.register_profile("long", settings.get_profile("default"), max_examples=1000)
settings.register_profile("debug", settings.get_profile("default"), max_examples=10, verbosity=Verbosity.verbose)
settings.load_profile("default")

if find_spec("httpx") is not None:  # it gives up after 5 s unless it is told otherwise
    from httpx._config import DEFAULT_TIMEOUT_CONFIG

    for step in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, step, SOON_S)


def _threads() -> set[threading.Thread]:
    return set(threading.enumerate())


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """Fail a test that leaves a thread running."""
    before = _threads()
    yield
    end = time.monotonic() + SOON_S
    for thread in _threads() - before:
        thread.join(max(0.0, end - time.monotonic()))
    left = sorted(thread.name for thread in _threads() - before)
    assert not left, f"threads left running: {left}"


@pytest.fixture(autouse=True)
def _no_tasks_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test whose event loop ends with tasks that nobody waited for (the loop cancels them silently)."""
    left: list[str] = []
    close = asyncio.Runner.close

    def noting_close(runner: asyncio.Runner) -> None:
        left.extend(str(task.get_coro()) for task in asyncio.all_tasks(runner.get_loop()))
        close(runner)

    monkeypatch.setattr(asyncio.Runner, "close", noting_close)
    yield
    assert not left, f"tasks left running: {left}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """Lend a private PostgreSQL server to the whole run; skip where none is installed."""
    try:
        with running_server() as server:
            yield server
    except UnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def kafka() -> Iterator[Any]:
    """Lend a private Apache Kafka to the whole run; skip where it, Java or the client is not here."""
    pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed (the extra kafka)")
    from archiver.testing import kafka

    try:
        with kafka.running_server() as server:
            yield server
    except UnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def oracle_double_url() -> Iterator[str]:
    """Give the URL of a stand-in for Oracle; skip where it cannot run."""
    pytest.importorskip("oracledb")
    pytest.importorskip("jpype")
    from archiver.testing.oracle import running_double

    try:
        with running_double(Path(__file__).parent / "doubles" / "oracle") as double:
            yield double.url
    except UnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def oracle_url() -> str:
    """Return the URL of a real Oracle; skip where the environment names none."""
    pytest.importorskip("oracledb")
    from archiver.testing.oracle import real_url

    try:
        return real_url()
    except UnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def influxdb() -> Iterator[Any]:
    """Lend a private InfluxDB 1 to the whole run; skip where none is installed."""
    from archiver.testing import influxdb

    try:
        with influxdb.running_server() as server:
            yield server
    except UnavailableError as exc:
        pytest.skip(str(exc))


def _influxdb_double(request: pytest.FixtureRequest, major: int) -> Iterator[Any]:
    from archiver.testing import influxdb

    upstream = request.getfixturevalue("influxdb").url
    with influxdb.running_double(Path(__file__).parent / "doubles" / "influxdb", major, upstream) as double:
        yield double


@pytest.fixture(scope="session")
def influxdb2(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Lend a stand-in for InfluxDB 2 to the whole run."""
    yield from _influxdb_double(request, 2)


@pytest.fixture(scope="session")
def influxdb3(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Lend a stand-in for InfluxDB 3 to the whole run."""
    yield from _influxdb_double(request, 3)


@dataclass(frozen=True)
class Done:
    """What a command gave: exit status, bytes of the output, text of the error stream."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode()


@pytest.fixture(scope="session")
def forebay() -> Callable[..., Done]:
    """Give a function that runs a command line in this process; a traceback of the command fails the test."""
    from archiver.cli import main

    def run(*words: object) -> Done:
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        before, sys.argv = sys.argv, ["forebay", *(str(word) for word in words)]
        code: object = 0
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main()
        except SystemExit as exc:
            code = exc.code or 0
        finally:
            sys.argv = before
        out.flush()
        assert isinstance(code, int), f"the exit status is {code!r}"
        assert isinstance(out.buffer, io.BytesIO)
        return Done(code, out.buffer.getvalue(), err.getvalue())

    return run
