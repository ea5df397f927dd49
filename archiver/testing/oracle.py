"""Oracle for tests: a stand-in that speaks its wire protocol, or the server that ``FOREBAY_TEST_ORACLE`` names."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archiver.ports import BackendContext
from archiver.testing.harness import PluginHarness
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError

VARIABLE = "FOREBAY_TEST_ORACLE"
JAR = Path("/usr/share/java/h2.jar")


class OracleDouble:
    """A process that answers as Oracle 19c does, over H2; it forgets everything when it ends, unless told where.

    Parameters
    ----------
    program : Path
        Folder of the stand-in.
    place : str
        Where H2 keeps its tables, in its own words: ``mem:…``, or ``file:…`` to outlast a restart.

    Raises
    ------
    UnavailableError
        H2, Java or a package that the stand-in needs is missing.
    """

    def __init__(self, program: Path, place: str = "mem:oracle") -> None:
        if not JAR.exists():
            raise UnavailableError("H2 is not installed (Debian: apt-get install libh2-java default-jre-headless)")
        self._command = [sys.executable, str(program), str(JAR), place]
        (self.port,) = free_ports(1)
        self.start()

    @property
    def url(self) -> str:
        """URL of the database, for SQLAlchemy."""
        patience = f"tcp_connect_timeout={SOON_S:g}"
        return f"oracle+oracledb://scada:tiger@127.0.0.1:{self.port}?service_name=FREEPDB1&{patience}"

    def start(self) -> None:
        """Start, and return when it takes connections."""
        command = [*self._command, str(self.port)]
        with tempfile.TemporaryFile() as errors:  # not a pipe: nobody reads it, and once full it stops the process
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            assert self._process.stdout is not None
            if not self._process.stdout.readline():
                self._process.communicate()
                errors.seek(0)
                reason = errors.read().decode(errors="replace").strip()[-500:]
                raise UnavailableError(f"the stand-in for Oracle does not start: {reason}")

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL); harmless when it does not run."""
        self._process.kill()
        self._process.communicate()

    def fault(self, name: str) -> None:
        """Have something go wrong once: see ``faults.py`` of the stand-in."""
        with connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute(f"BEGIN fault('{name}'); END;")


@contextmanager
def running_double(program: Path, place: str = "mem:oracle") -> Iterator[OracleDouble]:
    """Lend a started stand-in."""
    double = OracleDouble(program, place)
    try:
        yield double
    finally:
        double.kill()


def real_url() -> str:
    """Return the URL of a real server: a schema of its own, in which tables may be made and dropped.

    Raises
    ------
    UnavailableError
        The environment names none.
    """
    if not os.environ.get(VARIABLE):
        raise UnavailableError(f"{VARIABLE} names no Oracle (oracle+oracledb://user:password@host:1521?service_name=…)")
    return os.environ[VARIABLE]


def connect(url: str) -> Any:
    """Return a connection of the driver itself, past the backend."""
    import oracledb
    from sqlalchemy import make_url

    parsed = make_url(url)
    service = str(parsed.query["service_name"])
    return oracledb.connect(
        user=parsed.username, password=parsed.password, host=parsed.host, port=parsed.port, service_name=service
    )


def oracle_harness(plugin: Any, root: Path, url: str) -> PluginHarness:
    """Return the harness of a database: each place is a prefix of its own, whose tables are dropped."""
    return PluginHarness(
        plugin, root, lambda number: {"url": url, "prefix": f"c{os.getpid()}_{number}_"}, _count, _drop
    )


def _count(context: BackendContext, options: Mapping[str, Any]) -> int:
    with connect(options["url"]) as connection, connection.cursor() as cursor:
        names = _tables(cursor, f"{options['prefix']}samples_")
        return sum(cursor.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names)


def _drop(options: Mapping[str, Any]) -> None:
    with connect(options["url"]) as connection, connection.cursor() as cursor:
        for name in _tables(cursor, options["prefix"]):
            cursor.execute(f"DROP TABLE {name}")


def _tables(cursor: Any, prefix: str) -> list[str]:
    rows = cursor.execute("SELECT table_name FROM user_tables").fetchall()
    return [name for (name,) in rows if name.startswith(prefix.upper())]
