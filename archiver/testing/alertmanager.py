"""A private Alertmanager of Prometheus for tests: Debian's, in a temporary folder, gone afterwards."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError
from archiver.testing.process import LocalServer

_ROUTES = """
route: {receiver: hook, group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: "%s"}]}]
"""


class AlertmanagerServer(LocalServer):
    """An Alertmanager on a free port of 127.0.0.1, alone.

    Parameters
    ----------
    program : str
        Path of its program.
    directory : Path
        Folder for its files.
    hook : str
        Where it sends what it notifies of.
    """

    name = "Alertmanager"

    def __init__(self, program: str, directory: Path, hook: str) -> None:
        super().__init__(directory)
        self._program = program
        (self.port,) = free_ports(1)
        (directory / "alertmanager.yml").write_text(_ROUTES % hook)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        """What starts it."""
        flags = {
            "config.file": self._directory / "alertmanager.yml",
            "storage.path": self._directory / "data",
            "web.listen-address": f"127.0.0.1:{self.port}",
            "cluster.listen-address": "",
        }
        return [self._program, *(f"--{name}={value}" for name, value in flags.items())]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds to be active now."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=SOON_S) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def answers(self) -> bool:
        """Return whether it is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=SOON_S) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


@contextmanager
def running_server(hook: str = "http://127.0.0.1:9/") -> Iterator[AlertmanagerServer]:
    """Lend a started Alertmanager; it and its files are gone afterwards.

    Raises
    ------
    UnavailableError
        It is not installed, or does not start.
    """
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        advice = "(scripts/servers; Debian: apt-get install prometheus-alertmanager)"
        raise UnavailableError(f"Alertmanager is not installed {advice}")
    directory = Path(tempfile.mkdtemp(prefix="forebay-alertmanager-"))
    server = AlertmanagerServer(program, directory, hook)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)
