"""A real server as a process of its own, for tests: started until it answers, killed, stopped."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError

_PAUSE_S = 0.02


class LocalServer:
    """Base of servers on 127.0.0.1.

    Parameters
    ----------
    directory : Path
        Folder for its files, its log among them.
    """

    name: ClassVar[str]
    """What messages call it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> Sequence[str]:
        """What starts it, in the `environment`."""
        raise NotImplementedError

    @property
    def environment(self) -> Mapping[str, str]:
        """Its variables, beside those of this process."""
        return {}

    def answers(self) -> bool:
        """Return whether it can be asked by now."""
        raise NotImplementedError

    def start(self) -> None:
        """Start, and return when it answers; after `kill` on the same data.

        Raises
        ------
        UnavailableError
            It does not start.
        """
        log = self._directory / "log"
        environment = {**os.environ, **self.environment}
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                self.command, env=environment, stdout=file, stderr=file, cwd=self._directory
            )
        end = time.monotonic() + SOON_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise UnavailableError(f"{self.name} does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(_PAUSE_S)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order; harmless when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SOON_S)
            except subprocess.TimeoutExpired:
                self.kill()
