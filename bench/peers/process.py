"""A server program that is a child of this process: started, waited for, killed, stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path

_START_S = 60.0
_STOP_S = 60.0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A program that serves until it is told to end.

    Parameters
    ----------
    command : sequence of str
    environment : mapping
        On top of this process's own.
    log : Path
        Takes what it prints.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._program, self._log = command[0], log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=file, stderr=file, cwd=log.parent
            )

    def wait_until(self, answers: Callable[[], object]) -> None:
        """Wait until a call does not raise any more."""
        end = time.monotonic() + _START_S
        while True:
            try:
                answers()
                return
            except (OSError, HTTPException, RuntimeError) as exc:
                if self._process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    tail = self._log.read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{self._program} does not start: {exc}\n{tail}") from exc
            time.sleep(0.05)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order; by force when that takes too long."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
