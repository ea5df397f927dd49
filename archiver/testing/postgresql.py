"""A private PostgreSQL server for tests: Debian's binaries, a cluster in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S

USER = "forebay"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_wal_size": "1GB",
    "shared_buffers": "128MB",
}


class UnavailableError(Exception):
    """There is no server to be had on this machine; the message says what to install."""


class PostgresqlServer:
    """A server on a free port of 127.0.0.1, with a database that anyone on this machine may use.

    Parameters
    ----------
    binaries : Path
        Folder of ``initdb`` and ``postgres``.
    directory : Path
        Empty folder for the cluster. PostgreSQL refuses to run as root, so then it is given to ``postgres``.
    """

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._account = "postgres" if os.getuid() == 0 else None
        if self._account:
            shutil.chown(directory, self._account)
        (self.port,) = free_ports(1)
        self._run("initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        """URL of its database, for SQLAlchemy and libpq."""
        patience = f"connect_timeout={SOON_S:.0f}&tcp_user_timeout={SOON_S * 1000:.0f}"
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres?{patience}"

    def start(self) -> None:
        """Start, and return when it takes connections."""
        options = [part for name, value in self._settings().items() for part in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log, user=self._account, cwd=self._directory)
        end = time.monotonic() + SOON_S
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                raise UnavailableError(f"postgres does not start: {(self._directory / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it and all its sessions as a power cut would (SIGKILL)."""
        assert self._process is not None
        sessions = _children(self._process.pid)
        self._process.kill()
        self._process.wait()
        for session in sessions:  # they would end by themselves, and hold the shared memory until then
            with suppress(ProcessLookupError):
                os.kill(session, signal.SIGKILL)
        _wait_gone(sessions)

    def stop(self) -> None:
        """End it at once, in order; harmless when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # immediate shutdown
            self._process.wait()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _settings(self) -> dict[str, str]:
        return _SETTINGS | {"unix_socket_directories": str(self._directory)}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=self._account,
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"{program} fails: {done.stderr.strip()}")


def find_binaries() -> Path:
    """Return the folder with ``initdb`` and ``postgres``, of the newest version that is installed.

    Raises
    ------
    UnavailableError
        There is none, or it would have to run as root.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise UnavailableError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    if os.getuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise UnavailableError("PostgreSQL does not run as root, and there is no user postgres") from None
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


@contextmanager
def running_server() -> Iterator[PostgresqlServer]:
    """Lend a started server; it and its files are gone afterwards.

    Raises
    ------
    UnavailableError
        See `find_binaries`.
    """
    binaries = find_binaries()
    directory = Path(tempfile.mkdtemp(prefix="forebay-pg-", dir="/tmp" if Path("/tmp").is_dir() else None))
    server = None
    try:
        server = PostgresqlServer(binaries, directory)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory)


def _children(parent: int) -> list[int]:
    """Return the process ids whose parent is this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            match = re.match(r"(\d+) \(.*\) \S (\d+)", path.read_text(), re.DOTALL)
            if match and int(match[2]) == parent:
                found.append(int(match[1]))
    return found


def _wait_gone(processes: list[int]) -> None:
    end = time.monotonic() + SOON_S
    while any(Path(f"/proc/{process}").exists() for process in processes):
        if time.monotonic() > end:
            raise UnavailableError(f"sessions {processes} of a killed server do not end")
        time.sleep(0.01)
