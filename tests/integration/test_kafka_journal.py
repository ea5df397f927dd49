"""The journal on a real Kafka whose broker is killed under load, and an archive on it that is killed as well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import BackpressureError, PermanentError, SampleBatch, TransientError
from archiver.model.time import ALWAYS, now
from archiver.ports import Journal
from archiver.testing.patience import SOON_S
from archiver.testing.service import until

Open = Callable[..., Any]


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}-{time.time_ns()}".replace("[", "-").replace("]", "")


@pytest.fixture
def open_journal(kafka: Any, topic: str) -> Iterator[Open]:
    """Give a function that opens one more journal on the topic of this test."""
    from archiver.journal.kafka import KafkaJournal, KafkaJournalOptions

    opened: list[Journal] = []

    def make(**options: Any) -> Journal:
        given = {"servers": kafka.servers, "topic": topic, "replication": 1, "timeout_s": int(SOON_S), **options}
        journal = KafkaJournal(Path(), KafkaJournalOptions.model_validate(given))
        journal.open()
        opened.append(journal)
        return journal

    yield make
    for journal in opened:
        journal.close()


def numbered(first: int, count: int = 100) -> SampleBatch:
    numbers = np.arange(first, first + count)
    return SampleBatch.from_columns("a", numbers, numbers * 1.0, receive_time=now())


def held(journal: Journal) -> list[int]:
    """Return the numbers of all samples in a journal, in its order."""
    found: list[int] = []
    after = journal.state().first - 1
    while entries := journal.read(after, 10_000):
        found += [time for entry in entries for time in entry.batch.source_time.tolist()]
        after = entries[-1].offset
    return found


def test_the_broker_is_killed_under_load(kafka: Any, open_journal: Open) -> None:
    """What was appended is there once and in its order, without being sent again."""
    journal = open_journal()
    futures: list[Future[int]] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            futures.append(journal.append(numbered(len(futures) * 100)))
            stop.wait(0.002)

    thread = threading.Thread(target=load)
    thread.start()
    for _ in range(2):
        count = len(futures) + 50
        while len(futures) < count:
            time.sleep(0.01)
        kafka.kill()
        kafka.start()
    journal.append(numbered(10**9)).result(SOON_S)
    stop.set()
    thread.join()
    offsets = [future.result(SOON_S) for future in futures]
    assert offsets == sorted(offsets)
    seen = held(journal)
    assert [number for number in seen if number < 10**9] == list(range(len(futures) * 100))
    again = open_journal()
    assert held(again) == seen
    assert (again.state().rows, again.state().entries) == (journal.state().rows, journal.state().entries)


def test_a_broker_that_is_away_refuses_at_once(kafka: Any, open_journal: Open) -> None:
    """After `timeout_s`, and takes what waited when it is back."""
    journal = open_journal(timeout_s=1)
    journal.append(numbered(0)).result(SOON_S)
    kafka.kill()
    waiting = journal.append(numbered(100))
    try:
        while (refused := journal.append(numbered(200))).done() is False:
            time.sleep(0.05)
        with pytest.raises(BackpressureError, match="has not answered"):
            refused.result()
        assert held(journal) == list(range(100))  # it is still read, from memory
    finally:
        kafka.start()
    assert waiting.result(SOON_S) == 2
    assert sorted(set(held(journal)))[:200] == list(range(200))


def test_a_broker_that_hangs(kafka: Any, open_journal: Open) -> None:
    """What waits is taken when it goes on, once; meanwhile others are refused."""
    journal = open_journal(timeout_s=1)
    journal.append(numbered(0)).result(SOON_S)
    waiting: list[Future[int]] = []
    with kafka.paused():
        while not (refused := journal.append(numbered(100 * len(waiting) + 100))).done():
            waiting.append(refused)
            time.sleep(0.05)
        with pytest.raises(BackpressureError, match="has not answered"):
            refused.result()
    assert waiting
    assert [future.result(SOON_S) for future in waiting] == list(range(2, len(waiting) + 2))
    assert held(journal) == list(range(100 * len(waiting) + 100))


def test_records_that_are_gone_are_said(kafka: Any, topic: str, open_journal: Open) -> None:
    """Somebody deletes the topic and makes it anew while it is followed: nothing is taken in as if all were well."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    journal = open_journal()
    for number in range(5):
        journal.append(numbered(number * 100)).result(SOON_S)
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.delete_topics([topic])[topic].result()

    def made_anew() -> bool:
        """Kafka takes a name again only a moment after it was free."""
        with suppress(KafkaException):
            admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
            return True
        return False

    def said() -> str:
        try:
            journal.read(0, 1)
        except PermanentError as exc:
            return str(exc)
        return ""

    until(made_anew)
    assert "lost records after offset 5" in until(said)
    with pytest.raises(BackpressureError, match="lost records after offset 5"):
        journal.append(numbered(0)).result(SOON_S)


def test_a_producer_that_lost_track_is_replaced(open_journal: Open) -> None:
    from confluent_kafka import KafkaError

    journal = open_journal()
    journal.append(numbered(0)).result(SOON_S)
    first, refused = journal._producer, Future()
    journal._queued += 1
    journal._delivered(
        refused, 0, now(), KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "as asked for", True), None
    )
    assert isinstance(refused.exception(SOON_S), BackpressureError)
    until(lambda: journal._producer is not first)
    assert journal.append(numbered(100)).result(SOON_S) == 2
    assert journal._producer is not first


def test_what_was_sent_counts_before_it_was_seen(open_journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The brokers have two batches of which the consumer saw one: the third is counted after both."""
    monkeypatch.setattr("archiver.journal.kafka.journal._AT_ONCE", 0)
    journal, seen = open_journal(), threading.Semaphore(0)
    is_entry = journal._is_entry
    monkeypatch.setattr(journal, "_is_entry", lambda message: seen.acquire() and is_entry(message))
    futures = [journal.append(numbered(0)), journal.append(numbered(100))]
    until(lambda: not journal._queued)
    seen.release()
    assert journal.wait(0, SOON_S)
    futures.append(journal.append(numbered(200)))
    seen.release(2)
    assert [future.result(SOON_S) for future in futures] == [1, 2, 3]
    assert open_journal().state().rows == journal.state().rows == 300


def test_passwords(kafka: Any, open_journal: Open) -> None:
    """The right one opens; a wrong one is said to be wrong."""
    from archiver.testing.kafka import patience

    servers = f"127.0.0.1:{kafka.port_with_password}"

    def client(password: str) -> dict[str, str]:
        mechanism = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
        return {**mechanism, "sasl.username": "archive", "sasl.password": password}

    journal = open_journal(servers=servers, client=client("secret"))
    assert journal.append(numbered(0)).result(SOON_S) == 1
    with patience(30), pytest.raises(TransientError, match=r"Authentication failed"):
        open_journal(servers=servers, client=client("wrong"))


def test_closing_while_the_broker_is_away(kafka: Any, open_journal: Open) -> None:
    """Who waits hears that it was not taken."""
    journal = open_journal(timeout_s=1)
    kafka.kill()
    try:
        waiting = journal.append(numbered(0))
        journal.close()
        with pytest.raises(BackpressureError):
            waiting.result(SOON_S)
    finally:
        kafka.start()


def test_a_broker_that_is_not_there(open_journal: Open) -> None:
    from archiver.testing.kafka import patience

    with patience(2), pytest.raises(TransientError, match=r"127\.0\.0\.1:1"):
        open_journal(servers="127.0.0.1:1")


def test_two_append_to_one_partition(open_journal: Open) -> None:
    """Each sees what the other appends, in one order."""
    here, there = open_journal(), open_journal()
    assert here.stream == there.stream
    for number in range(10):
        (here if number % 3 else there).append(numbered(number * 100)).result(SOON_S)
    assert here.wait(9, SOON_S)
    assert there.wait(9, SOON_S)
    assert held(here) == held(there) == held(open_journal()) == list(range(1000))
    assert (here.state().rows, there.state().rows) == (1000, 1000)


def test_a_batch_that_no_topic_takes(open_journal: Open) -> None:
    journal = open_journal()
    value = np.random.default_rng(1).bytes(100 * 2**20)
    with pytest.raises(PermanentError, match="send it in parts"):
        journal.append(SampleBatch.from_columns("a", [1], [value], receive_time=1)).result(SOON_S)
    assert journal.append(numbered(0)).result(SOON_S) == 1


def test_partitions_are_journals_of_their_own(open_journal: Open) -> None:
    first, second = open_journal(partitions=2), open_journal(partition=1)
    assert first.stream != second.stream
    first.append(numbered(0)).result(SOON_S)
    assert second.append(numbered(500)).result(SOON_S) == 1
    assert (held(first), held(second)) == (list(range(100)), list(range(500, 600)))
    with pytest.raises(PermanentError, match="2 partitions"):
        open_journal(partition=2)


def test_a_topic_that_forgets_is_refused(kafka: Any, topic: str, open_journal: Open) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([NewTopic(topic, 1, 1, config={"retention.ms": "3600000"})])[topic].result()
    with pytest.raises(PermanentError, match=r"kafka-configs .*retention\.ms=-1"):
        open_journal()


# -- an archive on it -----------------------------------------------------------------------------------------------


def document(directory: Path, servers: str, topic: str) -> dict[str, Any]:
    lane = {"flush_interval": "50ms", "retry_first": "5ms", "retry_longest": "100ms"}
    return {
        "data": str(directory),
        "journal": {"kind": "kafka", "servers": servers, "topic": topic, "replication": 1, "timeout_s": int(SOON_S)},
        "backends": [
            {"name": "lake", "kind": "parquet", "lane": lane},
            {"name": "feed", "kind": "kafka", "servers": servers, "topic": f"{topic}-feed", "replication": 1,
             "partitions": 3, "lane": lane},
        ],
    }  # fmt: skip


CHILD = """
import json, sys
import numpy as np
from archiver import config
from archiver.bootstrap import Archive
from archiver.model import SampleBatch
document, first = json.loads(sys.argv[1]), int(sys.argv[2])
archive = Archive(config.parse(document)).open()
while True:
    numbers = np.arange(first, first + 100)
    batch = SampleBatch.from_columns([f"e{n % 7}" for n in numbers], numbers * 1_000_000, numbers * 1.0)
    archive.intake.submit(batch).result()
    first += 100
    print(first, flush=True)
"""


def run_until_killed(given: dict[str, Any], first: int, batches: int, during: Callable[[], None]) -> int:
    """Archive numbered samples in a process, kill it with SIGKILL; return the first that was not acknowledged."""
    import json

    command = [sys.executable, "-c", CHILD, json.dumps(given), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(batches):
            first = int(child.stdout.readline() or "-1")
        during()
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().split()
    return int(rest[-1]) if rest else first


def test_archive_and_broker_are_killed(kafka: Any, topic: str, tmp_path: Path) -> None:
    """No acknowledged sample is missing from the lake or from the topic that is fed, and none is there twice."""
    from archiver.backends.kafka.consumer import subscribe

    given = document(tmp_path, kafka.servers, topic)
    first = 0

    def restart() -> None:
        kafka.kill()
        kafka.start()

    for during in (lambda: None, restart, lambda: None, lambda: None):
        first = run_until_killed(given, first, 25, during)
    with Archive(config.parse(given)) as archive:
        until(archive.wait_ready)
        until(archive.flush)
        names = [f"e{n}" for n in range(7)]
        lake = Counter(
            time // 1_000_000
            for batch in archive.lanes["lake"].backend.read(names, ALWAYS, versions=True)
            for time in batch.source_time.tolist()
        )
        archive.keep()
        assert archive.journal.state().entries < 30  # what both have is trimmed
    assert set(range(first)) <= lake.keys()
    assert set(lake.values()) == {1}
    fed = Counter()
    offsets: dict[tuple[str, int], int] = {}
    for message in subscribe(kafka.servers, f"{topic}-feed", "verdict", end=True):
        for element, time_ns, *_ in message.batch.to_pylist():
            fed[element, time_ns // 1_000_000] += 1
            offsets[element, time_ns] = len(offsets)
    assert {number for _, number in fed} == lake.keys()
    resent = {number for (_, number), count in fed.items() if count > 1}
    assert all(fed[key] <= 2 for key in fed)
    assert len(resent) <= 4 * 100  # the batch that was not acknowledged before a kill, and was sent again


def test_what_others_append_is_archived_and_trimmed(kafka: Any, topic: str, tmp_path: Path, open_journal: Open) -> None:
    given = document(tmp_path, kafka.servers, topic)
    given["backends"] = given["backends"][:1]
    with Archive(config.parse(given)) as archive:
        until(archive.wait_ready)
        other = open_journal()
        offset = other.append(numbered(0)).result(SOON_S)
        archive.intake.submit(numbered(100)).result(SOON_S)
        assert archive.journal.wait(offset, SOON_S)
        until(archive.flush)
        archive.keep()
        found = archive.lanes["lake"].backend.read(["a"], ALWAYS)
        assert [time for batch in found for time in batch.source_time.tolist()] == list(range(200))
        assert archive.latest(["a"]).source_time.tolist() == [199]
        assert archive.journal.state().entries == 0


@pytest.mark.parametrize("seen_first", [False, True], ids=["told-first", "seen-first"])
def test_a_batch_of_which_the_brokers_do_not_say_where_it_lies(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch, seen_first: bool
) -> None:
    # so it is after a retry of what they had stored, when the answer to the first try was lost
    journal = open_journal()
    send, told = journal._send, threading.Event()

    class Nowhere:
        def offset(self) -> None:
            return None

    def send_so(payload: bytes, headers: Any, tell: Callable[..., None]) -> None:
        def late(error: Any, message: Any) -> None:
            if seen_first:
                until(lambda: journal.state().rows)
            tell(error, Nowhere())
            told.set()

        send(payload, headers, late)

    monkeypatch.setattr(journal, "_send", send_so)
    batch = numbered(0)
    future = journal.append(batch)
    assert told.wait(SOON_S)
    assert future.result(SOON_S) == journal.state().last
    assert journal.read(journal.state().first - 1, 1000)[0].batch.num_rows == len(batch)
