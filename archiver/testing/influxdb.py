"""A private InfluxDB 1 server for tests and measurements: Debian's influxd, in a temporary folder, gone afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from archiver.ports import BackendContext
from archiver.testing.harness import PluginHarness
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError
from archiver.testing.process import LocalServer

TOKEN = "forebay-test"
"""What tests send to a server that wants a token."""
ORGANIZATION = "forebay"
_SETTINGS = {
    "INFLUXDB_HTTP_MAX_BODY_SIZE": "0",
    "INFLUXDB_HTTP_LOG_ENABLED": "false",
    "INFLUXDB_REPORTING_DISABLED": "true",
    "INFLUXDB_MONITOR_STORE_ENABLED": "false",
    "INFLUXDB_COORDINATOR_WRITE_TIMEOUT": f"{SOON_S:g}s",
}


class InfluxdbServer(LocalServer):
    """influxd on a free port of 127.0.0.1, with its defaults but for a body of any size, and patience.

    Parameters
    ----------
    program : str
        Path of ``influxd``.
    directory : Path
        Folder for its files; may hold what an earlier one left.
    settings : mapping, optional
        More settings, as environment variables.
    """

    name = "influxd"

    def __init__(self, program: str, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(directory)
        self._program = program
        self._settings = _SETTINGS | dict(settings or {})
        self.port, self._inner_port = free_ports(2)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        """What starts it, in the `environment`."""
        return [self._program, "run"]

    @property
    def environment(self) -> dict[str, str]:
        """Its settings."""
        return {
            "INFLUXDB_DATA_DIR": str(self._directory / "data"),
            "INFLUXDB_DATA_WAL_DIR": str(self._directory / "wal"),
            "INFLUXDB_META_DIR": str(self._directory / "meta"),
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{self._inner_port}",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{self.port}",
            **self._settings,
        }

    @property
    def version(self) -> str:
        """Its version, such as ``1.6.7``."""
        shown = subprocess.run([self._program, "version"], capture_output=True, text=True, check=True).stdout
        return next(word for word in shown.replace("~", " ").split() if word.lstrip("v")[:1].isdigit()).lstrip("v")

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=SOON_S) as answer:
                return bool(answer.status == 204)
        except (OSError, urllib.error.URLError):
            return False


def find_program() -> str:
    """Return the path of ``influxd``.

    Raises
    ------
    UnavailableError
        It is not installed.
    """
    program = shutil.which("influxd")
    if program is None:
        raise UnavailableError("InfluxDB is not installed (scripts/servers; Debian: apt-get install influxdb)")
    return program


@contextmanager
def running_server(settings: Mapping[str, str] | None = None) -> Iterator[InfluxdbServer]:
    """Lend a started server; it and its files are gone afterwards.

    Raises
    ------
    UnavailableError
        See `find_program`.
    """
    program = find_program()
    directory = Path(tempfile.mkdtemp(prefix="forebay-influx-"))
    server = InfluxdbServer(program, directory, settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


class InfluxdbDouble:
    """A process that answers as InfluxDB 2 or 3 does, before a real InfluxDB 1.

    Parameters
    ----------
    program : Path
        Folder of the stand-in.
    major : int
        2 or 3.
    upstream : str
        URL of the real one.
    """

    def __init__(self, program: Path, major: int, upstream: str) -> None:
        command = [sys.executable, str(program), str(major), upstream, TOKEN, ORGANIZATION]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{self._process.stdout.readline().strip()}"

    def spoil(self, **fault: Any) -> None:
        """Say what happens to the next requests; without an argument all goes well again.

        Parameters
        ----------
        **fault
            ``n`` of them, with ``code`` (and ``retry_after``), ``hang`` (s), ``drop`` or ``after_write``; of ``path``.
        """
        request = urllib.request.Request(f"{self.url}/__fault", json.dumps(fault).encode())
        urllib.request.urlopen(request, timeout=SOON_S).close()

    def stop(self) -> None:
        """End it."""
        with self._process as process:
            process.kill()


@contextmanager
def running_double(program: Path, major: int, upstream: str) -> Iterator[InfluxdbDouble]:
    """Lend a stand-in for InfluxDB 2 or 3: see `InfluxdbDouble`."""
    double = InfluxdbDouble(program, major, upstream)
    try:
        yield double
    finally:
        double.stop()


def influx_harness(plugin: Any, root: Path, url: str, **options: str) -> PluginHarness:
    """Return the harness of the backend on an InfluxDB: a database for each place.

    Parameters
    ----------
    plugin : type
        The class behind the entry point.
    root : Path
        An empty directory.
    url : str
    **options
        For every place.
    """

    def of_place(number: int) -> Mapping[str, str]:
        database = f"contract-{root.parent.name}-{number}"
        return {"url": url, "database": database, "timeout": f"{SOON_S:g}s", **options}

    return PluginHarness(plugin, root, of_place, _count, _drop)


def influxql(url: str, database: str, statement: str) -> list[dict[str, Any]]:
    """Return the series of an answer, asked without the backend.

    Raises
    ------
    RuntimeError
        The statement fails.
    """
    asked = urlencode({"db": database, "epoch": "ns", "q": statement}).encode()
    request = urllib.request.Request(f"{url}/query", asked, {"Authorization": f"Token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=SOON_S) as answer:
        (result,) = json.load(answer)["results"]
    if "error" in result:
        raise RuntimeError(f"{statement}: {result['error']}")
    return list(result.get("series", []))


def _count(context: BackendContext, options: Mapping[str, Any]) -> int:
    groups = ", ".join(f'"{group}"' for group in context.groups)
    found = influxql(options["url"], options["database"], f'SELECT count("status") FROM {groups}')
    return sum(series["values"][0][1] for series in found)


def _drop(options: Mapping[str, Any]) -> None:
    influxql(options["url"], options["database"], f'DROP DATABASE "{options["database"]}"')
