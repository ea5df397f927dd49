"""A private Mosquitto, an MQTT 5 broker, for tests: Debian's, in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError
from archiver.testing.process import LocalServer


class MosquittoServer(LocalServer):
    """A broker on a free port of 127.0.0.1 that keeps in its folder what was published.

    Parameters
    ----------
    program : str
        Path of ``mosquitto``.
    directory : Path
        Folder for its files.
    settings : sequence of str
        Further lines of its configuration; without any, everybody may do everything.
    """

    name = "mosquitto"

    def __init__(self, program: str, directory: Path, settings: Sequence[str] = ("allow_anonymous true",)) -> None:
        super().__init__(directory)
        self._program = program
        (self.port,) = free_ports(1)
        account = [] if os.getuid() else ["user root"]  # it would give its rights away, and its files with them
        lines = [f"listener {self.port} 127.0.0.1", *account, "persistence true", f"persistence_location {directory}/"]
        (directory / "mosquitto.conf").write_text("\n".join([*lines, *settings]) + "\n")

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [self._program, "-c", str(self._directory / "mosquitto.conf")]

    def answers(self) -> bool:
        """Return whether it takes connections."""
        return _answers(self.port)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), SOON_S).close()
    except OSError:
        return False
    return True


@contextmanager
def running_server(settings: Sequence[str] = ("allow_anonymous true",)) -> Iterator[MosquittoServer]:
    """Lend a started broker; it and its files are gone afterwards.

    Raises
    ------
    UnavailableError
        It is not installed, or does not start.
    """
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise UnavailableError("Mosquitto is not installed (scripts/servers; Debian: apt-get install mosquitto)")
    directory = Path(tempfile.mkdtemp(prefix="forebay-mosquitto-"))
    server = MosquittoServer(program, directory, settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


def add_password(file: Path, user: str, password: str) -> None:
    """Let somebody log in: ``password_file`` is where, in the settings of a broker.

    Raises
    ------
    UnavailableError
        Mosquitto is not installed.
    """
    program = shutil.which("mosquitto_passwd")
    if program is None:
        raise UnavailableError("Mosquitto is not installed (scripts/servers; Debian: apt-get install mosquitto)")
    subprocess.run([program, "-b", "-c", str(file), user, password], check=True, capture_output=True)


def retained(port: int, topic: str, user: str = "", password: str = "") -> Any:
    """Return the message (paho's) that is retained under a topic, None where there is none; asked without a notifier.

    Raises
    ------
    TimeoutError
        The broker does not answer.
    """
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
    from paho.mqtt.subscribeoptions import SubscribeOptions

    marker = f"marker/{uuid4()}"  # what comes before it is all there was
    found: list[Any] = []
    done = threading.Event()

    def on_connect(client: Client, *given: Any) -> None:
        client.subscribe([(topic, SubscribeOptions(qos=1)), (marker, SubscribeOptions(qos=1))])

    def on_subscribe(client: Client, *given: Any) -> None:
        client.publish(marker, b"", qos=1)

    def on_message(client: Client, data: Any, message: Any) -> None:
        if message.topic == marker:
            done.set()
        else:
            found.append(message)

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(user or None, password)
    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        if not done.wait(SOON_S):
            raise TimeoutError(f"the broker on port {port} does not answer")
    finally:
        client.disconnect()
        client.loop_stop()
    return found[-1] if found else None
