"""A private `forebay up` for tests: a process on a free port, stopped afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from archiver.testing.patience import SOON_S

COMMAND = [sys.executable, "-c", "from archiver.cli import main; main()"]
"""The command line, without relying on the search path."""

T = TypeVar("T")


class Service:
    """A running archive.

    Parameters
    ----------
    url : str
        Where it answers.
    process : subprocess.Popen
    log : Path
        What it writes to its error stream.
    """

    def __init__(self, url: str, process: subprocess.Popen[str], log: Path) -> None:
        self.url = url
        self.process = process
        self._log = log

    def errors(self) -> str:
        """Return what it has written to its error stream so far."""
        return self._log.read_text(encoding="utf-8")

    def reload(self) -> str:
        """Make it read its configuration again; return what it says of that."""
        seen = len(self.errors())
        self.process.send_signal(signal.SIGHUP)
        return until(lambda: next((line for line in self.errors()[seen:].splitlines() if "read again" in line), ""))

    def kill(self) -> None:
        """End it as a power switch would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running_service(directory: Path, *flags: str, within: Sequence[str] = ()) -> Iterator[Service]:
    """Run ``forebay up`` on a data directory until the end of the block; then stop it in order.

    Parameters
    ----------
    directory : Path
    flags : str
        Of the command line.
    within : sequence of str, optional
        A command that the process is to become after it has set bounds, such as ``prlimit --nofile=256``.

    Raises
    ------
    RuntimeError
        It did not start; the message is what it said.
    """
    with tempfile.TemporaryDirectory() as place, (Path(place) / "log").open("w") as log:
        command = [*within, *COMMAND, "up", "--data", str(directory), "--port", "0", *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            watchdog = threading.Timer(SOON_S, process.kill)
            watchdog.start()
            assert process.stdout is not None, "it is a pipe"
            line = process.stdout.readline()
            watchdog.cancel()
            watchdog.join()
            try:
                if not line.startswith("ready "):
                    raise RuntimeError(f"forebay up did not start: {Path(log.name).read_text(encoding='utf-8')}")
                yield Service(line.split()[1], process, Path(log.name))
            finally:
                _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(SOON_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def until(condition: Callable[[], T]) -> T:
    """Poll a condition until it is true; return what it gave.

    Raises
    ------
    TimeoutError
    """
    end = time.monotonic() + SOON_S
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come to pass within {SOON_S:g} s")
        time.sleep(0.02)
    return result
