"""Oracle's own ways, on the stand-in: what is lost, refused, taken already, loaded past the tables, or dropped."""

import gc
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from archiver.backends.sql import SqlBackend, SqlOptions
from archiver.model import ArchiveGroup, ForebayError, Kind, PermanentError, SampleBatch, TransientError
from archiver.model.time import ALWAYS, DAY_NS
from archiver.ports import BackendContext, Position, WriteReceipt
from archiver.testing.oracle import OracleDouble, UnavailableError, connect, running_double

PROGRAM = Path(__file__).parents[3] / "doubles" / "oracle"
HOUR_NS = 3_600_000_000_000
_prefixes = (f"o{number}_" for number in count())
Open = Callable[..., SqlBackend]


@pytest.fixture(scope="module")
def double() -> Iterator[OracleDouble]:
    try:
        with running_double(PROGRAM) as server:
            yield server
    except UnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def prefix() -> str:
    return next(_prefixes)


@pytest.fixture
def opening(double: OracleDouble, prefix: str, tmp_path: Path) -> Iterator[Open]:
    opened: list[SqlBackend] = []

    def make(url: str = double.url, **groups: ArchiveGroup) -> SqlBackend:
        backend = SqlBackend(BackendContext("site", tmp_path, groups), SqlOptions(url=url, prefix=prefix))
        opened.append(backend)
        return backend

    yield make
    for backend in opened:
        backend.close()


@pytest.fixture
def backend(opening: Open) -> SqlBackend:
    made = opening()
    made.open()
    return made


def floats(*times: int, value: float = 1.0, received: int = 1) -> SampleBatch:
    return SampleBatch.from_columns("E", list(times), [value] * len(times), receive_time=received)


def stored(backend: SqlBackend) -> list[int]:
    return [time for part in backend.read(["E"], ALWAYS, versions=True) for time in part.source_time.tolist()]


def rows(double: OracleDouble, statement: str) -> list[tuple[object, ...]]:
    with connect(double.url) as connection, connection.cursor() as cursor:
        found: list[tuple[object, ...]] = cursor.execute(statement).fetchall()
        return found


def past_the_lock(double: OracleDouble, prefix: str, time: int, value: float) -> None:
    columns = "element_id, source_time, sequence, receive_time, status, kind, float_value"
    change(double, f"INSERT INTO {prefix}samples_g ({columns}) VALUES (1, {time}, 0, 1, 0, 1, {value})")


def change(double: OracleDouble, statement: str) -> None:
    with connect(double.url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("fault", "message", "repeated"),
    [
        ("lose_reply", "DPY-4011", True),
        ("drop_before_commit", "DPY-4011", False),
        ("drop_statement", "DPY-4011", False),
        ("disk_full", "ORA-01653", False),
    ],
)
def test_a_write_that_failed_is_done_once(
    double: OracleDouble, backend: SqlBackend, fault: str, message: str, repeated: bool
) -> None:
    backend.write({"g": floats(1)}, Position("j", 1))
    double.fault(fault)
    with pytest.raises(TransientError, match=message):
        backend.write({"g": floats(2)}, Position("j", 2))
    assert backend.write({"g": floats(2)}, Position("j", 2)).repeated is repeated
    assert stored(backend) == [1, 2]
    assert backend.position("j") == Position("j", 2)
    assert [c.rows for c in backend.coverage()] == [2]


def test_rows_written_past_the_lock_are_counted_as_duplicates(
    double: OracleDouble, backend: SqlBackend, prefix: str
) -> None:
    backend.write({"g": floats(1)}, Position("j", 1))
    for time, value in ((2, 1.0), (3, 7.0)):
        past_the_lock(double, prefix, time, value)
    seen: list[WriteReceipt] = []
    receipt = backend.write({"g": floats(2, 3, 4)}, Position("j", 2), seen.append)
    assert receipt.duplicate["g"].tolist() == [True, False, False]
    assert len(seen) == 1
    assert stored(backend) == [1, 2, 3, 3, 4]
    valid = SampleBatch.concat(list(backend.read(["E"], ALWAYS)))
    assert valid.values(Kind.FLOAT).to_pylist() == [1.0, 1.0, 1.0, 1.0]  # what came later is valid


def test_wrong_rows_are_refused_all_at_once_and_named(double: OracleDouble, backend: SqlBackend, prefix: str) -> None:
    backend.write({"g": floats(1)}, Position("j", 1))
    change(double, f"ALTER TABLE {prefix}samples_g ADD CONSTRAINT {prefix}sane CHECK (float_value < 100)")
    mixed = SampleBatch.from_columns("E", [2, 3, 4, 5], [1.0, 500.0, 2.0, 600.0], receive_time=2)
    with pytest.raises(PermanentError, match=f"{prefix}samples_g takes 2 rows not, the first one since ORA-02290"):
        backend.write({"g": mixed}, Position("j", 2))
    assert stored(backend) == [1]
    assert not backend.write({"g": mixed.take([0, 2])}, Position("j", 2)).repeated
    assert stored(backend) == [1, 2, 4]


def test_a_back_fill_comes_by_direct_path(double: OracleDouble, backend: SqlBackend, prefix: str) -> None:
    size = 12_000
    values = np.random.default_rng(1).normal(size=size)
    values[::1000] = np.nan
    batch = SampleBatch.from_columns("E", np.arange(size) * 1_000_000_000, values, receive_time=5)
    assert backend.write({"g": batch}).duplicates == 0
    assert rows(double, f"SELECT count(*) FROM {prefix}landing") == [(size - 12,)]
    assert SampleBatch.concat(list(backend.read(["E"], ALWAYS))) == batch
    assert backend.write({"g": batch}).duplicates == size
    assert [c.rows for c in backend.coverage()] == [size]


def test_a_back_fill_meets_rows_written_past_the_lock(double: OracleDouble, backend: SqlBackend, prefix: str) -> None:
    backend.write({"g": floats(-1)})
    past_the_lock(double, prefix, 7, 1.0)
    receipt = backend.write({"g": floats(*range(10_001))})
    assert np.flatnonzero(receipt.duplicate["g"]).tolist() == [7]
    assert stored(backend) == list(range(-1, 10_001))


def test_what_would_change_lies_beside_its_column(double: OracleDouble, backend: SqlBackend, prefix: str) -> None:
    texts = ["", "a", "x" * 4_000, "ä" * 2_001, "a\0b"]
    batch = SampleBatch.from_columns("E", list(range(5)), texts)
    backend.write({"g": batch})
    found = rows(double, f"SELECT text_value, bytes_value FROM {prefix}samples_g ORDER BY source_time")
    assert found == [
        (None, None),
        ("a", None),
        ("x" * 4_000, None),
        (None, ("ä" * 2_001).encode()),
        (None, b"a\0b"),
    ]
    assert SampleBatch.concat(list(backend.read(["E"], ALWAYS))).to_pylist() == batch.to_pylist()


def test_a_partition_is_dropped_whole_and_a_short_segment_by_its_rows(opening: Open) -> None:
    day = ArchiveGroup("day", ("*",), ("site",), segment_ns=DAY_NS)
    minute = ArchiveGroup("minute", ("*",), ("site",), segment_ns=HOUR_NS // 60)
    backend = opening(day=day, minute=minute)
    backend.open()
    for group in (day, minute):
        length = group.segment_ns
        backend.write({group.name: floats(-1, 0, length - 1, length, 2 * length)})
        assert [s.rows for s in backend.drop_before(group.name, length)] == [1, 2]
        assert [s.rows for s in backend.segments(group.name)] == [1, 1]
        assert [p.rows for p in backend.coverage() if p.group == group.name] == [2]


def test_a_partition_that_is_gone_already_is_no_error(double: OracleDouble, opening: Open, prefix: str) -> None:
    backend = opening(g=ArchiveGroup("g", ("*",), ("site",), segment_ns=DAY_NS))
    backend.open()
    backend.write({"g": floats(0, DAY_NS)})
    change(double, f"ALTER TABLE {prefix}samples_g DROP PARTITION FOR (0) UPDATE INDEXES")
    assert [s.rows for s in backend.drop_before("g", DAY_NS)] == [1]
    assert stored(backend) == [DAY_NS]


def test_processes_that_start_at_once_make_one_archive(opening: Open, double: OracleDouble, prefix: str) -> None:
    backends = [opening() for _ in range(4)]
    failures: list[ForebayError] = []

    def start(number: int) -> None:
        try:
            backends[number].open()
            backends[number].write({"g": floats(number)}, Position(f"j{number}", 1))
        except ForebayError as exc:
            failures.append(exc)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows(double, f"SELECT count(*) FROM {prefix}archive") == [(1,)]
    assert stored(backends[0]) == [0, 1, 2, 3]


def test_a_wrong_password_and_a_missing_server_are_worth_a_retry(double: OracleDouble, opening: Open) -> None:
    with pytest.raises(TransientError, match="ORA-01017"):
        opening(double.url.replace("tiger", "lion")).open()
    with pytest.raises(TransientError, match="DPY-6"):
        opening(double.url.replace(str(double.port), "1")).open()
    with pytest.raises(TransientError, match="DPY-600"):
        opening(double.url.replace("FREEPDB1", "OTHER")).open()


class Cut:
    """A way to a server on which, after so many pieces of its answers, every connection is reset."""

    def __init__(self, port: int, pieces: int) -> None:
        self._server, self._left = port, pieces
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._take)]
        self._threads[0].start()

    def _take(self) -> None:
        with self._listener:  # nobody waits on it to be taken afterwards
            while self._left >= 0:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._pass_on, args=(client,)))
                self._threads[-1].start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset at its end
            while self._left >= 0:
                for ready in select.select([client, server], [], [], 0.01)[0]:
                    data = ready.recv(65_536)
                    self._left -= ready is server
                    if not data or self._left < 0:
                        return
                    (client if ready is server else server).sendall(data)

    def close(self) -> None:
        self._left = -1
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("pieces", range(0, 60, 7))
def test_a_connection_that_is_reset_at_any_moment_is_an_outage(
    double: OracleDouble, opening: Open, pieces: int
) -> None:
    """No less, no more: what the driver leaves unclosed then is no failure of a test."""
    cut = Cut(double.port, pieces)
    try:
        with suppress(TransientError):
            backend = opening(double.url.replace(str(double.port), str(cut.port)))
            backend.open()
            backend.write({"g": floats(1, 2)}, Position("j", 1))
            backend.write({"g": floats(3)}, Position("j", 2))
    finally:
        cut.close()
    gc.collect()
    later = opening()
    later.open()
    reached = later.position("j")
    for position in range(1 + (reached.offset if reached else 0), 3):
        later.write({"g": floats(1, 2) if position == 1 else floats(3)}, Position("j", position))
    assert stored(later) == [1, 2, 3]


def test_a_killed_server_that_comes_back_is_no_loss(tmp_path: Path) -> None:
    try:
        server = OracleDouble(PROGRAM, f"file:{tmp_path / 'h2'}")
    except UnavailableError as exc:
        pytest.skip(str(exc))
    backend = SqlBackend(BackendContext("site", tmp_path), SqlOptions(url=server.url))
    try:
        backend.open()
        backend.write({"g": floats(1)}, Position("j", 1))
        reading = backend.read(["E"], ALWAYS)
        server.kill()

        def write() -> WriteReceipt:
            return backend.write({"g": floats(2)}, Position("j", 2))

        for verb in (write, backend.coverage, lambda: next(reading)):
            with pytest.raises(TransientError):
                verb()
        server.start()
        assert not write().repeated
        assert stored(backend) == [1, 2]
    finally:
        backend.close()
        server.kill()
