"""Position and data go together, whatever happens in between."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import update

from archiver.backends.sql import SqlBackend, SqlOptions
from archiver.backends.sql.tables import SCHEMA_VERSION, Tables
from archiver.model import ArchiveGroup, ConfigurationError, PermanentError, SampleBatch, TransientError
from archiver.model.time import ALWAYS, DAY_NS
from archiver.ports import BackendContext, Position
from archiver.testing.postgresql import PostgresqlServer, running_server

Open = Callable[..., SqlBackend]


def floats(*times: int, value: float = 1.0, received: int = 1) -> SampleBatch:
    return SampleBatch.from_columns("E", list(times), [value] * len(times), receive_time=received)


def stored(backend: SqlBackend) -> list[int]:
    return [time for batch in backend.read(["E"], ALWAYS, versions=True) for time in batch.source_time.tolist()]


def test_a_lost_commit_reply_is_not_stored_twice(backend: SqlBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy import Connection, exc

    commit = Connection.commit

    def losing(connection: Connection) -> None:
        commit(connection)
        monkeypatch.setattr(Connection, "commit", commit)
        raise exc.TimeoutError("the reply was lost")

    backend.write({"g": floats(1)}, Position("j", 1))
    monkeypatch.setattr(Connection, "commit", losing)
    with pytest.raises(TransientError, match="the reply was lost"):
        backend.write({"g": floats(2)}, Position("j", 2))
    receipt = backend.write({"g": floats(2)}, Position("j", 2))
    assert receipt.repeated
    assert receipt.position == Position("j", 2)
    assert stored(backend) == [1, 2]


def test_a_lost_reply_without_position_is_told_by_the_samples(
    backend: SqlBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import Connection, exc

    commit = Connection.commit

    def losing(connection: Connection) -> None:
        commit(connection)
        monkeypatch.setattr(Connection, "commit", commit)
        raise exc.TimeoutError("the reply was lost")

    monkeypatch.setattr(Connection, "commit", losing)
    with pytest.raises(TransientError):
        backend.write({"g": floats(1, 2)})
    assert backend.write({"g": floats(1, 2, 3)}).duplicates == 2
    assert stored(backend) == [1, 2, 3]


def test_an_error_before_the_commit_stores_nothing(backend: SqlBackend) -> None:
    class OwnError(Exception):
        pass

    def refuse(_: Any) -> None:
        raise OwnError

    with pytest.raises(OwnError):
        backend.write({"new": floats(1)}, Position("j", 1), refuse)
    assert backend.position("j") is None
    assert backend.coverage() == []
    assert backend.elements() == []
    assert not backend.write({"new": floats(1)}, Position("j", 1)).repeated
    assert stored(backend) == [1]


def test_two_writers_of_one_database_do_not_both_write(options: SqlOptions, open_backend: Open) -> None:
    first, second = open_backend(options), open_backend(options)
    first.write({"g": floats(1)}, Position("j", 1))
    second.write({"g": floats(2)}, Position("j", 2))
    assert first.write({"g": floats(2)}, Position("j", 2)).repeated
    assert first.write({"g": floats(2, 3, received=9)}).duplicates == 1
    assert second.write({"g": floats(3, received=10)}).duplicates == 1
    assert stored(first) == stored(second) == [1, 2, 3]
    assert [(c.first, c.last, c.rows) for c in first.coverage()] == [(1, 3, 3)]


def test_two_writers_at_once_wait_for_each_other(options: SqlOptions, open_backend: Open) -> None:
    backends = [open_backend(options), open_backend(options)]
    repeated: list[bool] = []

    def work(backend: SqlBackend) -> None:
        repeated.extend(backend.write({"g": floats(n)}, Position("j", n)).repeated for n in range(1, 21))

    threads = [threading.Thread(target=work, args=(backend,)) for backend in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(repeated) == 40
    assert repeated.count(False) == len(stored(backends[0])) <= 20
    assert backends[0].position("j") == Position("j", 20)


def test_a_reader_beside_a_writer(options: SqlOptions, open_backend: Open, tmp_path) -> None:
    reader = SqlBackend(BackendContext("warm", tmp_path, read_only=True), options)
    reader.open()
    assert reader.coverage() == reader.elements() == reader.segments("g") == stored(reader) == []
    assert reader.position("j") is None
    writer = open_backend(options)
    writer.write({"g": floats(1)}, Position("j", 1))
    assert stored(reader) == [1]
    rows = reader.read(["E"], ALWAYS)
    next(rows)
    writer.write({"g": floats(2)}, Position("j", 2))
    assert list(rows) == []
    assert stored(reader) == [1, 2]
    assert reader.position("j") == Position("j", 2)
    with pytest.raises(PermanentError, match="read-only"):
        reader.write({"g": floats(3)})
    with pytest.raises(PermanentError, match="read-only"):
        reader.drop_before("g", 10)
    reader.close()


def test_a_read_that_is_left_in_the_middle_harms_nobody(backend: SqlBackend, options: SqlOptions) -> None:
    count = 30_000 if options.url.startswith("oracle") else 300_000  # more than a fetch; the stand-in is slow
    backend.write({"g": SampleBatch.from_columns("E", list(range(count)), [1.0] * count)})
    for _ in range(6):
        rows = backend.read(["E"], ALWAYS)
        assert 0 < next(rows).num_rows < count
        rows.close()
    backend.write({"g": floats(count)})
    assert len(stored(backend)) == count + 1


def test_a_newer_schema_is_refused(options: SqlOptions, open_backend: Open) -> None:
    backend = open_backend(options)
    with backend._dialect.engine.begin() as connection:
        connection.execute(update(Tables(options.prefix).archive).values(schema_version=SCHEMA_VERSION + 1))
    with pytest.raises(ConfigurationError, match=f"version {SCHEMA_VERSION + 1}.*upgrade forebay"):
        backend.open()


def test_archives_with_another_prefix_share_a_database(options: SqlOptions, open_backend: Open) -> None:
    one, other = open_backend(options), open_backend(options.model_copy(update={"prefix": options.prefix + "b_"}))
    one.write({"g": floats(1)}, Position("j", 1))
    assert other.position("j") is None
    assert stored(other) == []


def test_segments_of_another_length_are_filled_around(options: SqlOptions, open_backend: Open) -> None:
    def group(length: int) -> ArchiveGroup:
        return ArchiveGroup("g", ("*",), ("warm",), segment_ns=length)

    open_backend(options, g=group(10)).write({"g": floats(25)})
    backend = open_backend(options, g=group(100))
    backend.write({"g": floats(1, 19, 29, 39, 45, 99, 100, received=2)})
    spans = [(s.interval.start, s.interval.end, s.rows) for s in backend.segments("g")]
    assert spans == [(0, 20, 2), (20, 30, 2), (30, 40, 1), (40, 100, 2), (100, 200, 1)]
    assert [s.rows for s in backend.drop_before("g", 100)] == [2, 2, 1, 2]
    assert stored(backend) == [100]
    assert backend.write({"g": floats(25)}).duplicates == 0


def test_partitions_come_ahead_and_go(postgresql: PostgresqlServer, open_backend: Open) -> None:
    backend = open_backend(SqlOptions(url=postgresql.url, prefix="parts_"))

    def partitions() -> list[int]:
        with psycopg.connect(postgresql.url) as connection:
            rows = connection.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'parts_samples_g'::regclass"
            )
            return sorted(int(name.removeprefix("parts_samples_g_")) // DAY_NS for (name,) in rows)

    backend.write({"g": floats(DAY_NS * 10, DAY_NS * 12)})
    assert partitions() == [10, 12, 13]
    assert all(segment.bytes > 0 for segment in backend.segments("g"))
    assert [s.interval.start // DAY_NS for s in backend.drop_before("g", 12 * DAY_NS)] == [10]
    assert partitions() == [12, 13]
    with psycopg.connect(postgresql.url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"INSERT INTO parts_samples_g SELECT 1, {99 * DAY_NS}, 0, 0, 0, 0")


def test_a_reader_is_not_held_up_by_a_new_partition(postgresql: PostgresqlServer, open_backend: Open) -> None:
    backend = open_backend(SqlOptions(url=postgresql.url, prefix="hold_"))
    backend.write({"g": floats(1)})
    seen: list[list[int]] = []
    backend.write({"g": floats(5 * DAY_NS)}, None, lambda _: seen.append(stored(backend)))
    assert seen == [[1]]


def test_a_killed_server_that_comes_back_is_no_loss(tmp_path) -> None:
    from archiver.testing.postgresql import UnavailableError

    try:
        with running_server() as server:
            backend = SqlBackend(BackendContext("warm", tmp_path), SqlOptions(url=server.url))
            backend.open()
            backend.write({"g": floats(1)}, Position("j", 1))
            server.kill()
            for _ in range(2):
                with pytest.raises(TransientError):
                    backend.write({"g": floats(2)}, Position("j", 2))
                with pytest.raises(TransientError):
                    stored(backend)
                with pytest.raises(TransientError):
                    backend.coverage()
            server.start()
            assert not backend.write({"g": floats(2)}, Position("j", 2)).repeated
            server.kill()
            server.start()
            assert _until_done(lambda: backend.write({"g": floats(2)}, Position("j", 2))).repeated
            assert _until_done(lambda: stored(backend)) == [1, 2]
            backend.close()
    except UnavailableError as exc:
        pytest.skip(str(exc))


def test_a_server_killed_within_a_write_stores_nothing(tmp_path) -> None:
    from archiver.testing.postgresql import UnavailableError

    try:
        with running_server() as server:
            backend = SqlBackend(BackendContext("warm", tmp_path), SqlOptions(url=server.url))
            backend.open()
            backend.write({"g": floats(1)}, Position("j", 1))
            with pytest.raises(TransientError):
                backend.write({"g": floats(2)}, Position("j", 2), lambda _: server.kill())
            server.start()
            assert _until_done(lambda: backend.position("j")) == Position("j", 1)
            assert not _until_done(lambda: backend.write({"g": floats(2)}, Position("j", 2))).repeated
            assert _until_done(lambda: stored(backend)) == [1, 2]
            backend.close()
    except UnavailableError as exc:
        pytest.skip(str(exc))


def _until_done(call: Callable[[], Any]) -> Any:
    """Call as a lane does: each connection that the restart broke fails once."""
    for _ in range(5):
        try:
            return call()
        except TransientError:
            continue
    return call()


def test_an_unreachable_server_is_transient(tmp_path) -> None:
    backend = SqlBackend(BackendContext("warm", tmp_path), SqlOptions(url="postgresql://127.0.0.1:1/x"))
    with pytest.raises(TransientError):
        backend.open()
    backend.close()
