"""The `Journal` port on one partition of a Kafka topic: appended by an idempotent producer, followed by a consumer."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from archiver.journal.kafka.options import KafkaJournalOptions
from archiver.journal.kafka.partition import Partition
from archiver.journal.kafka.records import Mark, account_of, entry_of, headers_of, mark_of
from archiver.journal.payload import encode
from archiver.journal.recent import Recent, Sized, run_of
from archiver.journal.waiting import Waiting
from archiver.kafka import ANSWER_S, Cluster
from archiver.model import BackpressureError, ForebayError, PermanentError, SampleBatch, TransientError
from archiver.model.time import now
from archiver.ports import JournalEntry, JournalState, Options

_LOG = logging.getLogger(__name__)
_CACHED_BYTES = 64 * 2**20
_UNSENT_KIB = 256 * 2**10
_POLL_S = 0.1
_AT_ONCE = 500
_RETRY_S = 1.0
_PURGE_S = 5.0
_AGE_STEPS = 1000
_NOTHING = JournalState(0, 0, 0, 1, 0, None, 0)


class KafkaJournal:
    """The journal of one archive, on the brokers of a Kafka cluster.

    Parameters
    ----------
    directory : Path
        Not used: all that belongs to the journal is in the topic.
    options : KafkaJournalOptions

    Notes
    -----
    What is known of the journal is what a consumer has seen come by, so an append is acknowledged when the brokers
    have it and it was seen. Others may append to the same partition; the offsets are the broker's, and have no gap.
    """

    Options: ClassVar[type[Options]] = KafkaJournalOptions

    def __init__(self, directory: Path, options: KafkaJournalOptions) -> None:
        self.options = options
        self._cluster = Cluster(options)
        self._partition = Partition(self._cluster, options)
        self._producer: Any = None
        self._condition = threading.Condition()
        self._settling = threading.RLock()
        self._stopped = threading.Event()
        self._closing = True
        self._stream = ""
        self._state = _NOTHING
        self._waiting = Waiting(_NOTHING, 0)
        self._recent = Recent(_CACHED_BYTES)
        self._known: deque[Mark] = deque()  # of the entries up to the last one, as far back as they were seen
        self._before = Mark(0, 0, 0, 0, 0, 0)  # of what lies before the first entry
        self._accounts: dict[int, bytes] = {}
        self._accounts_after = 0
        self._sent = Mark(0, 0, 0, 0, 0, 0)
        self._unsettled: dict[int, Future[int]] = {}
        self._unplaced: dict[int, Future[int]] = {}  # by receive time
        self._queued = 0
        self._heard = 0.0  # when the brokers said something last, or had the first thing to say
        self._queued_bytes = 0
        self._lost = False  # the producer cannot say in which order what is: nothing more goes through it
        self._broken: ForebayError | None = None
        self._threads: list[threading.Thread] = []

    @property
    def stream(self) -> str:
        """Identity of topic and partition, given by the cluster: a topic that is made anew has another one."""
        return self._stream

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Find or make the topic, read where it begins and ends, and follow it from there.

        Raises
        ------
        PermanentError
            The topic cannot be a journal.
        TransientError
            The brokers do not answer.
        """
        self._stream = self._partition.open()
        low, high = self._partition.bounds()
        self._producer = self._make_producer()
        if low == high:
            self._found(high)
            high = self._partition.bounds()[1]
        self._take_stock(low, high - 1)
        self._broken = None
        self._stopped.clear()
        self._closing = False
        consumer = self._partition.tail(high)
        self._threads = [
            threading.Thread(target=self._follow, args=(consumer,), name="journal", daemon=True),
            threading.Thread(target=self._hear, name="journal-sent", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Have the brokers take what was appended, or refuse it, and let go."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
            if not self._condition.wait_for(lambda: not self._queued, self.options.timeout_s):
                self._producer.purge()
                self._condition.wait_for(lambda: not self._queued, _PURGE_S)
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._settle(list(self._unsettled))  # the brokers have them, and the consumer was cut off from those
        for future in self._unplaced.values():  # and these; but where, nobody will see any more
            future.set_exception(BackpressureError("the archive is shutting down", _RETRY_S))
        self._unplaced.clear()
        self._recent.clear()
        self._partition.close()
        self._cluster.close()
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _found(self, offset: int) -> None:
        """Write the record that is no entry: a partition begins with one."""
        mark = Mark(0, 0, now(), now() if offset else 0, 0, 0)  # what was forgotten was received before
        errors: list[Any] = []
        self._send(b"", headers_of(mark, b""), lambda error, _: errors.append(error))
        self._producer.flush(ANSWER_S)
        if errors != [None]:
            self._producer.purge()
            raise TransientError(f"Kafka {self.options.servers} does not take the first record of {self.options.topic}")

    def _take_stock(self, anchor: int, last: int) -> None:
        """Count what is kept: the first record tells what was before, the last one what was ever."""
        self._before = self._fetch(anchor)
        end = self._fetch(last)
        state = JournalState(
            entries=last - anchor,
            rows=max(0, end.rows_through - self._before.rows_through),
            bytes=max(0, end.bytes_through - self._before.bytes_through),
            first=anchor + 1,
            last=last,
            oldest=self._fetch(anchor + 1).received if last > anchor else None,
            newest=max(end.newest, self._before.newest),
        )
        self._known = deque([end])
        self._sent = end
        self._state = state
        self._accounts, self._accounts_after = {}, last
        self._waiting = Waiting(state, self.options.max_age_s / _AGE_STEPS)

    def _make_producer(self) -> Producer:
        return self._cluster.producer(
            message_max_bytes=self._partition.largest,
            message_timeout_ms=0,  # for ever: one that was given up may be stored all the same
            queue_buffering_max_kbytes=_UNSENT_KIB,
            linger_ms=0,
        )

    # -- writing --------------------------------------------------------------------------------------

    def append(self, batch: SampleBatch, account: bytes = b"") -> Future[int]:
        """Send a batch to the brokers; see `archiver.ports.Journal.append`.

        While the brokers are away batches wait, for `timeout_s`; later ones are refused at once until they are back.
        """
        payload = bytes(encode(batch))
        size = len(payload) + len(account)
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # nobody may cancel it: it will be durable
        received = int(batch.receive_time[0]) if batch.num_rows else now()
        with self._condition:
            if reason := self._why_not(size):
                future.set_exception(BackpressureError(reason, _RETRY_S))
                return future
            mark = self._sent.then(batch.num_rows, size, received, received if batch.num_rows else 0)
            try:
                self._send(payload, headers_of(mark, account), partial(self._delivered, future, size, received))
            except (BufferError, KafkaException) as exc:
                future.set_exception(self._refusal(exc))
                return future
            self._sent = mark
            self._heard = self._heard if self._queued else time.monotonic()
            self._queued += 1
            self._queued_bytes += size
        return future

    def _send(self, payload: bytes, headers: Any, delivered: Any) -> None:
        topic, partition = self.options.topic, self.options.partition
        self._producer.produce(topic, payload, partition=partition, headers=headers, on_delivery=delivered)

    def _delivered(self, future: Future[int], size: int, received: int, error: Any, message: Any) -> None:
        """Take what the brokers said of a batch."""
        with self._settling:
            if error is None:
                self._placed(future, received, message.offset())
            else:
                future.set_exception(self._refusal(KafkaException(error)))
        with self._condition:
            self._lost = self._lost or (error is not None and error.fatal())
            self._heard = time.monotonic()
            self._queued -= 1
            self._queued_bytes -= size
            self._condition.notify_all()

    def _placed(self, future: Future[int], received: int, offset: int | None) -> None:
        """Tell who waits where a batch lies, as soon as it was seen there.

        The brokers do not say where when they had it before, and the client sent it again: its receive time tells.
        """
        offset = self._seen_at(received) if offset is None else offset
        if offset is None:
            self._unplaced[received] = future
            return
        self._unsettled[offset] = future
        if offset <= self._state.last:
            self._settle([offset])

    def _seen_at(self, received: int) -> int | None:
        """Return the offset of the newest entry of a receive time, None when none was seen."""
        with self._condition:
            back = next((back for back, mark in enumerate(reversed(self._known)) if mark.received == received), None)
            return None if back is None else self._state.last - back

    def _settle(self, offsets: list[int]) -> None:
        """Tell who waits that these are durable, in their order."""
        with self._settling:
            for offset in offsets:
                if (future := self._unsettled.pop(offset, None)) is not None:
                    future.set_result(offset)

    def _refusal(self, exc: BufferError | KafkaException) -> ForebayError:
        if isinstance(exc, BufferError):
            text = f"Kafka {self.options.servers} does not keep up: {_UNSENT_KIB // 1024} MiB wait to be sent"
            return BackpressureError(text, _RETRY_S)
        found = self._cluster.error("the journal cannot take this batch", exc.args[0])
        if isinstance(found, PermanentError):
            return PermanentError(f"{found} (the topic takes {self._partition.largest} bytes): send it in parts")
        return BackpressureError(str(found), _RETRY_S)

    def trim(self, through: int) -> None:
        """Forget entries up to and including an offset; the last of them stays as the partition's first record."""
        through = min(through, self._state.last)
        if through < self._state.first:
            return
        before = self._mark(through)
        following = self._mark(through + 1).received if through < self._state.last else None
        self._partition.trim(through)
        with self._condition:
            old, end = self._state, self._known[-1]
            if following is None and old.last > through:  # came in meanwhile
                following = self._known[through - old.last].received
            self._state = JournalState(
                entries=old.last - through,
                rows=end.rows_through - before.rows_through,
                bytes=end.bytes_through - before.bytes_through,
                first=through + 1,
                last=old.last,
                oldest=following,
                newest=old.newest,
            )
            self._before = before
            self._recent.forget_before(through + 1)
            while len(self._known) > max(1, self._state.entries):
                self._known.popleft()
            self._accounts = {offset: kept for offset, kept in self._accounts.items() if offset > through}

    def fullness(self) -> float:
        """Return how full it is as a share of its bounds, of size or age, whichever is nearer."""
        with self._condition:
            age_s = self._waiting.of_oldest(self._state)
            return self.options.share(self._state.bytes, age_s)

    def overfull(self) -> bool:
        """Whether the policy is to drop the oldest entries, and the journal is within a tenth of a bound."""
        return self.options.drops(self.fullness())

    def _why_not(self, more: int) -> str:
        """Return why an entry cannot be taken now, nothing when it can."""
        if self._closing or self._broken is not None:
            return "the archive is shutting down" if self._broken is None else str(self._broken)
        if self._lost:
            return f"Kafka {self.options.servers} lost track of what was sent: a new connection is made"
        silent_s = time.monotonic() - self._heard if self._queued else 0.0
        if silent_s > self.options.timeout_s:
            return f"Kafka {self.options.servers} has not answered for {silent_s:.0f} s, and batches wait for it"
        held, age_s = self._state.bytes + self._queued_bytes, self._waiting.of_oldest(self._state)
        return self.options.why_full(held, more, age_s)

    # -- following ------------------------------------------------------------------------------------

    def _hear(self) -> None:
        """Take what the brokers say of batches that were sent."""
        while not self._stopped.is_set():
            self._producer.poll(_POLL_S)
            with self._condition:
                if self._lost and not self._queued:
                    self._producer, self._lost = self._make_producer(), False

    def _follow(self, consumer: Consumer) -> None:
        """Take note of each entry that comes to lie in the partition, whoever appended it."""
        while not self._stopped.is_set():
            first = consumer.poll(_POLL_S)
            if first is None:
                continue
            try:
                self._note([message for message in [first, *consumer.consume(_AT_ONCE, 0)] if self._is_entry(message)])
            except ForebayError as exc:
                self._break(exc)
                break
        consumer.close()

    def _is_entry(self, message: Any) -> bool:
        """Whether a consumer got a record; errors that pass are its own affair."""
        error = message.error()
        if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise PermanentError(
                f"topic {self.options.topic} lost records after offset {self._state.last}, which were acknowledged: "
                f"a broker that lagged took over, or somebody deleted them ({error.str()}); start the archive again"
            )
        if error is not None:
            _LOG.warning("%s", self._cluster.error("the journal cannot be read now", error))
        return error is None

    def _break(self, exc: ForebayError) -> None:
        """Take nothing more in, and tell everybody why."""
        _LOG.error("the journal cannot be followed any more: %s", exc)
        with self._settling, self._condition:
            self._broken = exc
            for future in (*self._unsettled.values(), *self._unplaced.values()):
                future.set_exception(BackpressureError(str(exc), _RETRY_S))
            self._unsettled.clear()
            self._unplaced.clear()

    def _note(self, messages: list[Any]) -> None:
        seen = [(mark_of(message), entry_of(message), account_of(message)) for message in messages]
        if not seen:
            return
        with self._condition:
            for mark, entry, account in seen:
                self._known.append(self._known[-1].then(mark.rows, mark.bytes, mark.received, mark.newest))
                self._recent.add(entry, mark.bytes)
                self._waiting.note(entry.offset)
                if account:
                    self._accounts[entry.offset] = account
            old, end = self._state, self._known[-1]
            self._state = JournalState(
                entries=old.entries + len(seen),
                rows=end.rows_through - self._before.rows_through,
                bytes=end.bytes_through - self._before.bytes_through,
                first=old.first,
                last=seen[-1][1].offset,
                oldest=seen[0][0].received if old.oldest is None else old.oldest,
                newest=max(old.newest, end.newest),
            )
            if not self._queued and max(self._unsettled, default=0) <= self._state.last:
                self._sent = end  # all that was sent was seen: with what others appended, without what was refused
            self._condition.notify_all()
        with self._settling:
            for mark, entry, _ in seen:
                if (future := self._unplaced.pop(mark.received, None)) is not None:
                    self._unsettled[entry.offset] = future
            self._settle([entry.offset for _, entry, _ in seen])

    # -- reading --------------------------------------------------------------------------------------

    def read(self, after: int, rows: int) -> list[JournalEntry]:
        """Return entries after an offset; see `archiver.ports.Journal.read`."""
        with self._condition:
            if self._broken is not None:
                raise self._broken
            last, after = self._state.last, max(after, self._state.first - 1)
            if after >= last:
                return []
            if (recent := self._recent.after(after)) is not None:
                return run_of(recent, rows)
        with closing(self._entries(after + 1, last)) as entries:
            return run_of(entries, rows)

    def _entries(self, start: int, last: int) -> Generator[Sized, None, None]:
        with closing(self._partition.messages(start, last)) as messages:
            for message in messages:
                yield entry_of(message), mark_of(message).bytes

    def rows_after(self, after: int) -> int:
        """Return how many samples lie after an offset."""
        with self._condition:
            after, end = max(after, self._state.first - 1), self._known[-1]
            if after >= self._state.last:
                return 0
        return max(0, end.rows_through - self._mark(after).rows_through)

    def accounts(self, after: int) -> list[tuple[int, bytes]]:
        """Return the non-empty accounts after an offset, with their offsets."""
        after = max(after, self._state.first - 1)
        if after < self._accounts_after:  # they are looked for once, then kept until they are trimmed
            with closing(self._partition.messages(after + 1, self._accounts_after)) as messages:
                found = {message.offset(): account_of(message) for message in messages if account_of(message)}
            with self._condition:
                self._accounts = {**found, **self._accounts}
                self._accounts_after = after
        with self._condition:
            return sorted((offset, account) for offset, account in self._accounts.items() if offset > after)

    def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until there is an entry after an offset; return whether there is."""
        with self._condition:
            self._condition.wait_for(lambda: self._state.last > after or self._closing, timeout_s)
            return self._state.last > after

    def state(self) -> JournalState:
        """Return how full it is."""
        return self._state

    def _mark(self, offset: int) -> Mark:
        """Return the mark of an entry, or of the record before the first one."""
        with self._condition:
            if offset == self._state.first - 1:
                return self._before
            if offset > self._state.last - len(self._known):
                return self._known[offset - self._state.last - 1]
        return self._fetch(offset)

    def _fetch(self, offset: int) -> Mark:
        (message,) = self._partition.messages(offset, offset)
        return mark_of(message)
