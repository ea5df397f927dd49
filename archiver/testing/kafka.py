"""A private Apache Kafka for tests: one node in KRaft mode, its log in a temporary folder, gone afterwards."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from archiver.backends.kafka import KafkaBackend
from archiver.backends.kafka.consumer import subscribe
from archiver.journal.kafka import KafkaJournal, KafkaJournalOptions
from archiver.ports import Backend, Journal
from archiver.testing.harness import PluginHarness
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError
from archiver.testing.rows import Row, rows_of

JARS = Path(__file__).parents[2] / ".cache" / "kafka"
USER, PASSWORD = "archive", "secret"
_CLIENTS = (
    "kafka",
    "backends.kafka.backend",
    "backends.kafka.consumer",
    "journal.kafka.journal",
    "journal.kafka.partition",
)
_CLUSTER = "Zm9yZWJheS1jbHVzdGVyMQ"
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    ),
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",
}


class KafkaServer:
    """A broker and its controller in one process, on free ports of 127.0.0.1.

    Parameters
    ----------
    jars : Path
        Folder of Kafka's jars.
    directory : Path
        Empty folder for its settings and its log.
    """

    def __init__(self, jars: Path, directory: Path) -> None:
        self._jars = jars
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.port_with_password, controller = free_ports(3)
        addresses = f"PLAINTEXT://127.0.0.1:{self.port},SASL_PLAINTEXT://127.0.0.1:{self.port_with_password}"
        settings = _SETTINGS | {
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{addresses},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": addresses,
            "log.dirs": str(directory / "data"),
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        done = subprocess.run(
            [*self._java("kafka.tools.StorageTool"), "format", "-t", _CLUSTER, "-c", str(self._properties)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"Kafka's storage cannot be formatted: {(done.stdout + done.stderr)[-2000:]}")

    @property
    def servers(self) -> str:
        """What clients are given as ``bootstrap.servers``."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return when it serves; after `kill` on the same data."""
        with (self._directory / "log").open("ab") as log:
            written = log.tell()
            command = [*self._java("kafka.Kafka"), str(self._properties)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)
        end = time.monotonic() + SOON_S
        while "Kafka Server started" not in (text := (self._directory / "log").read_text()[written:]):
            if self._process.poll() is not None or time.monotonic() > end:
                raise UnavailableError(f"Kafka does not start: {text[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut of the process would (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep it from doing anything until the end of the block (SIGSTOP); connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once; harmless when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def _properties(self) -> Path:
        return self._directory / "server.properties"

    def _java(self, program: str) -> list[str]:
        return ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{self._jars}/*", program]


@contextmanager
def running_server() -> Iterator[KafkaServer]:
    """Lend a started broker; it and its files are gone afterwards.

    Raises
    ------
    UnavailableError
        There is no Java, or Kafka's jars were never fetched.
    """
    if shutil.which("java") is None:
        raise UnavailableError("Java is not installed (Debian: apt-get install default-jre-headless)")
    if not list(JARS.glob("kafka_*.jar")):
        raise UnavailableError("Apache Kafka is not here: scripts/install-kafka fetches it (needs Maven)")
    directory = Path(tempfile.mkdtemp(prefix="forebay-kafka-"))
    server = None
    try:
        server = KafkaServer(JARS, directory)
        server.start()
        with patience(SOON_S):
            yield server
    finally:
        if server is not None:
            server.stop()
        with suppress(FileNotFoundError):
            shutil.rmtree(directory)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Have the clients in this process wait so long for an answer, until the end of the block."""
    with ExitStack() as stack:
        for name in _CLIENTS:
            stack.enter_context(patch(f"archiver.{name}.ANSWER_S", seconds))
        yield


class KafkaJournalHarness:
    """Harness of the Kafka journal: a topic of its own for each place, and a broker that is killed for a crash.

    Parameters
    ----------
    server : KafkaServer
    root : Path
        Names the topics: each test has another one.
    """

    def __init__(self, server: KafkaServer, root: Path) -> None:
        self._server = server
        self._topic = f"{root.name}-{time.time_ns()}"
        self._numbers = itertools.count()
        self._places: dict[int, tuple[KafkaJournal, KafkaJournalOptions]] = {}

    def create(self, max_bytes: int | None = None) -> KafkaJournal:
        """Return a new journal, open, in a new topic."""
        bounds = {} if max_bytes is None else {"max_bytes": max_bytes}
        topic = f"{self._topic}-{next(self._numbers)}"
        return self._open(KafkaJournalOptions(servers=self._server.servers, topic=topic, replication=1, **bounds))

    def reopen(self, journal: Journal) -> KafkaJournal:
        """Close a journal and return a new instance on the same topic."""
        journal.close()
        return self._open(self._places.pop(id(journal))[1])

    def after_crash(self, journal: Journal) -> KafkaJournal:
        """Kill the broker and start it again; return a new instance on the same topic."""
        self._server.kill()
        self._server.start()
        return self._open(self._places[id(journal)][1])

    def close(self) -> None:
        """Close every journal that is still open."""
        for journal, _ in self._places.values():
            journal.close()

    def _open(self, options: KafkaJournalOptions) -> KafkaJournal:
        journal = KafkaJournal(Path(), options)
        self._places[id(journal)] = journal, options
        journal.open()
        return journal


class KafkaBackendHarness(PluginHarness):
    """Harness of the Kafka backend: topics of its own for each place, read by the reference consumer.

    Parameters
    ----------
    server : KafkaServer
    root : Path
        An empty directory; it names the topics too.
    """

    def __init__(self, server: KafkaServer, root: Path) -> None:
        name = f"{root.name}-{time.time_ns()}"
        options = {"servers": server.servers, "replication": 1, "partitions": 3}
        super().__init__(KafkaBackend, root, lambda number: options | {"topic": f"{name}-{number}"})
        self._servers = server.servers

    def received(self, backend: Backend) -> list[Row]:
        """Return what a consumer of committed messages gets from the beginning of the topic on."""
        topic = self._places[id(backend)][2]["topic"]
        got = subscribe(self._servers, topic, f"test-{time.time_ns()}", end=True)
        return [row for message in got for row in rows_of(message.batch)]
