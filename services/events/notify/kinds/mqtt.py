"""Tells an MQTT 5 broker: the last state of each alarm, retained under a topic of its own."""

from __future__ import annotations

import json
import ssl
import threading
from pathlib import Path
from typing import Any, ClassVar

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import Field, field_validator

from archiver.config import Duration
from archiver.model import PermanentError, TransientError
from archiver.model.time import NANOSECONDS
from archiver.ports import Options
from services.events.notify.notice import Group, Notice
from services.events.notify.notifier import PROGRAMS, Grouping
from services.events.notify.secrets import read_secret, without

_FAILURE = 0x80
_REFUSED = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid: of the message; all else is of the broker's state."""

_FIELDS = ("alarm", "rule", "key", "class", "priority")
_UTF8 = 1


class MqttOptions(Options):
    """Keys of ``[[notify]]`` with ``kind = "mqtt"``."""

    host: str = Field(min_length=1, description="the broker")
    port: int = Field(0, ge=0, le=65535, description="0: 8883 with tls, 1883 without")
    tls: bool = Field(True, description="encrypt the connection")
    ca_file: Path | None = Field(None, description="PEM; certificates to trust instead of the system's")
    certificate: Path | None = Field(None, description="PEM; to log in with a certificate")
    key: Path | None = Field(None, description="PEM, of the certificate")
    user: str = Field("", description="to log in with the password")
    password_file: Path | None = Field(None, description="file that holds the password")
    password_env: str = Field("", description="environment variable that holds the password")
    client_id: str = Field("", description="left out, the broker gives one")
    topic: str = Field(
        "forebay/alarms/{alarm}",
        min_length=1,
        description="of each alarm, with {alarm}, {rule}, {key}, {class}, {priority}; a / in them is a level",
    )
    timeout: Duration = Field("10s", validate_default=True, description="longest wait for the broker")

    @field_validator("topic")
    @classmethod
    def _a_topic(cls, value: str) -> str:
        if set("+#\x00") & set(value):
            raise ValueError("a topic to publish to has no + and no #")
        try:
            value.format(**dict.fromkeys(_FIELDS, ""))
        except (LookupError, ValueError) as exc:
            raise ValueError(f"there are {', '.join(f'{{{name}}}' for name in _FIELDS)}") from exc
        return value


class MqttNotifier:
    """Publishes each change with QoS 1, retained: who subscribes later gets the last state of every alarm.

    Parameters
    ----------
    name : str
    options : MqttOptions
    """

    Options: ClassVar[type[Options]] = MqttOptions
    grouping: ClassVar[Grouping] = PROGRAMS

    def __init__(self, name: str, options: MqttOptions) -> None:
        self.name = name
        self._options = options

    def send(self, group: Group) -> None:
        """Send a message; see `Notifier.send`."""
        password = read_secret("password", self._options.password_file, self._options.password_env)
        notices = group.new or group.standing
        try:
            with _Session(self._options, password) as session:
                session.publish([(topic_of(self._options.topic, n), _payload(n)) for n in notices])
        except (OSError, ValueError) as exc:  # no broker, a broken certificate
            where = f"{self._options.host}:{_port(self._options)}"
            raise TransientError(without(f"{where}: {exc or type(exc).__name__}", password)) from exc


class _Session:
    """A connection for one message."""

    def __init__(self, options: MqttOptions, password: str) -> None:
        self._where = f"{options.host}:{_port(options)}"
        self._timeout_s = options.timeout / NANOSECONDS
        self._options = options
        self._connected = threading.Event()
        self._refusal: ReasonCode | None = None
        self._refused: dict[int, ReasonCode] = {}
        client = Client(CallbackAPIVersion.VERSION2, options.client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect_timeout = self._timeout_s
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        if options.user:
            client.username_pw_set(options.user, password)
        if options.tls:
            context = ssl.create_default_context(cafile=options.ca_file)
            context.sslsocket_class = _Socket
            if options.certificate is not None:
                context.load_cert_chain(options.certificate, options.key)
            client.tls_set_context(context)
        self._client = client

    def __enter__(self) -> _Session:
        self._client.connect(self._options.host, _port(self._options), keepalive=60)
        self._client.loop_start()
        if not self._connected.wait(self._timeout_s):
            self.__exit__()
            raise TransientError(f"{self._where}: the broker does not answer")
        if self._refusal is not None:
            self.__exit__()
            raise TransientError(f"{self._where}: the broker refuses the connection: {self._refusal}")
        return self

    def __exit__(self, *of: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, messages: list[tuple[str, bytes]]) -> None:
        """Publish in order; return when the broker has taken all."""
        about = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        about.ContentType = "application/json"
        about.PayloadFormatIndicator = _UTF8
        sent = [self._client.publish(topic, body, qos=1, retain=True, properties=about) for topic, body in messages]
        for info in sent:
            self._wait(info)
        if self._refused:
            refusal = max(self._refused.values(), key=lambda code: code.value in _REFUSED)
            error = PermanentError if refusal.value in _REFUSED else TransientError
            raise error(f"{self._where}: the broker refuses {len(self._refused)} of {len(sent)} messages: {refusal}")

    def _wait(self, info: MQTTMessageInfo) -> None:
        """Wait until the broker confirms a message: they are confirmed in order, so each has the whole timeout."""
        try:
            info.wait_for_publish(self._timeout_s)
            confirmed = info.is_published()
        except (RuntimeError, ValueError) as exc:
            raise TransientError(f"{self._where}: {exc}") from exc
        if not confirmed:
            raise TransientError(f"{self._where}: the broker does not confirm a message")

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            self._refusal = reason
        self._connected.set()

    def _on_publish(self, client: Client, data: Any, message: int, reason: ReasonCode, properties: Any) -> None:
        if reason.value >= _FAILURE:
            self._refused[message] = reason


class _Socket(ssl.SSLSocket):
    """A socket that is closed when the other side is not who it should be; paho leaves that to the collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def topic_of(template: str, notice: Notice) -> str:
    """Return the topic of an alarm: characters that topics may not have are ``_``.

    Examples
    --------
    >>> topic_of("plant/{rule}/{key}", Notice("a", "1", "came", 0, 0, True, "hot+", "BAR:T1"))
    'plant/hot_/BAR:T1'
    """
    names = {
        name: "".join("_" if c in "+#" or not c.isprintable() else c for c in notice.get(name)) for name in _FIELDS
    }
    return template.format(**names)


def _payload(notice: Notice) -> bytes:
    return json.dumps(notice.to_row(), ensure_ascii=False, allow_nan=False).encode()


def _port(options: MqttOptions) -> int:
    return options.port or (8883 if options.tls else 1883)
