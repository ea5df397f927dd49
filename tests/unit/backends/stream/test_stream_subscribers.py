"""What subscribers of the stream backend see: snapshots, changes, gaps; and that none can hold up a write."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver.backends.stream import StreamBackend, StreamOptions, consumer
from archiver.backends.stream.frames import HEADER_BYTES, Frame, FrameKind, parse, parse_header
from archiver.model import InvalidInputError, SampleBatch, TransientError
from archiver.ports import BackendContext, Position
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S

Make = Callable[..., StreamBackend]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Give a function that opens a backend; without a heartbeat, unless it is asked for."""
    monkeypatch.setattr(consumer, "SILENCE_S", SOON_S)
    made: list[StreamBackend] = []

    def create(**options: Any) -> StreamBackend:
        given = StreamOptions.model_validate({"heartbeat_s": 3600} | options)
        backend = StreamBackend(BackendContext("feed", tmp_path), given)
        made.append(backend)
        backend.open()
        return backend

    yield create
    for backend in made:
        backend.close()


def address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def values(first: int, count: int, element: str = "a") -> SampleBatch:
    return SampleBatch.from_columns(element, np.arange(first, first + count), np.arange(first, first + count) * 1.0)


def newest(frame: Frame) -> dict[str, int]:
    return {row[0]: row[1] for row in frame.batch.to_pylist()}


def test_a_snapshot_then_changes(make: Make) -> None:
    where = address()
    backend = make(tcp=where)
    backend.write({"g": SampleBatch.concat([values(0, 3, "a"), values(5, 2, "b")])}, Position("j", 1))
    frames = consumer.over_tcp(where)
    first = next(frames)
    assert (first.kind, first.number, newest(first)) == (FrameKind.SNAPSHOT, 1, {"a": 2, "b": 6})
    backend.write({"g": values(3, 2)}, Position("j", 2))
    backend.write({}, Position("j", 3))
    backend.write({"g": values(9, 1, "b")}, Position("j", 4))
    second, third = itertools.islice(frames, 2)
    assert [(f.kind, f.number, f.batch.source_time.tolist()) for f in (second, third)] == [
        (FrameKind.CHANGES, 2, [3, 4]),
        (FrameKind.CHANGES, 3, [9]),
    ]
    frames.close()


def test_late_samples_are_sent_and_are_not_the_newest(make: Make) -> None:
    where = address()
    backend = make(tcp=where)
    backend.write({"g": values(10, 1)})
    frames = consumer.over_tcp(where)
    next(frames)
    backend.write({"g": values(4, 1)})
    assert next(frames).batch.source_time.tolist() == [4]
    later = consumer.over_tcp(where)
    assert newest(next(later)) == {"a": 10}
    frames.close()
    later.close()


def test_what_two_groups_take_is_sent_once(make: Make) -> None:
    where = address()
    backend = make(tcp=where)
    frames = consumer.over_tcp(where)
    next(frames)
    backend.write({"g1": values(0, 3), "g2": values(1, 3)})
    assert next(frames).batch.source_time.tolist() == [0, 1, 2, 3]
    frames.close()


def test_a_heartbeat_where_nothing_happens(make: Make) -> None:
    where = address()
    make(tcp=where, heartbeat_s=0.01).write({"g": values(0, 1)})
    frames = consumer.over_tcp(where)
    assert [(f.kind, f.number) for f in itertools.islice(frames, 3)] == [
        (FrameKind.SNAPSHOT, 1),
        (FrameKind.HEARTBEAT, 1),
        (FrameKind.HEARTBEAT, 1),
    ]
    frames.close()


def large(number: int) -> SampleBatch:
    noise = np.random.default_rng(number).bytes(2**20)
    return SampleBatch.from_columns("a", [number], [noise])


def test_a_slow_subscriber_skips_and_is_told(make: Make) -> None:
    """It takes nothing while 60 MiB are written; then it gets what was under way, a gap, and the newest values."""
    where = address()
    backend = make(tcp=where, buffer_bytes=4 * 2**20)
    frames = consumer.over_tcp(where)
    next(frames)
    for number in range(1, 61):
        assert not backend.write({"g": large(number)}, Position("j", number)).repeated
    seen: list[Frame] = []
    while not seen or seen[-1].number < 60 or seen[-1].kind is FrameKind.GAP:
        seen.append(next(frames))
    gap = next(frame for frame in seen if frame.kind is FrameKind.GAP)
    before = seen[: seen.index(gap)]
    assert [frame.number for frame in before] == list(range(1, len(before) + 1))
    assert gap.skipped == (len(before) + 1, gap.number)
    after = seen[seen.index(gap) + 1]
    assert (after.kind, after.number, newest(after)) == (FrameKind.SNAPSHOT, gap.number, {"a": gap.number})
    frames.close()


def test_a_fast_subscriber_beside_a_slow_one_skips_nothing(make: Make) -> None:
    where = address()
    backend = make(tcp=where, buffer_bytes=4 * 2**20)
    slow, fast = consumer.over_tcp(where), consumer.over_tcp(where)
    next(slow)
    next(fast)
    for number in range(1, 41):
        backend.write({"g": large(number)}, Position("j", number))
        frame = next(fast)
        assert (frame.kind, frame.number) == (FrameKind.CHANGES, number)
    slow.close()
    fast.close()


def test_one_that_takes_nothing_is_cut_off(make: Make) -> None:
    where = address()
    backend = make(tcp=where, stall_s=0.05, heartbeat_s=0.02)
    host, port = where.split(":")
    with socket.create_connection((host, int(port))) as stuck:
        for number in range(40):
            backend.write({"g": large(number)}, Position("j", number))
        stuck.settimeout(SOON_S)
        while True:  # what the system held is still given, then it ends
            try:
                if not stuck.recv(2**20):
                    break
            except ConnectionResetError:
                break
            time.sleep(0.01)


def test_numbers_and_newest_values_outlast_a_restart(make: Make) -> None:
    where = address()
    backend = make(tcp=where)
    for number in range(3):
        backend.write({"g": values(number, 1, f"e{number}")}, Position("j", number))
    backend.close()
    again = make(tcp=where)
    assert again.position("j") == Position("j", 2)
    frames = consumer.over_tcp(where)
    first = next(frames)
    assert (first.number, newest(first)) == (3, {"e0": 0, "e1": 1, "e2": 2})
    frames.close()


def test_pieces_are_joined_and_nothing_is_forgotten(make: Make) -> None:
    where = address()
    backend = make(tcp=where)
    names = [f"e{i}" for i in range(6000)]
    for number in range(5):
        batch = SampleBatch.from_columns(names, np.full(6000, number), np.zeros(6000))
        backend.write({"g": batch}, Position("j", number))
    backend.close()
    make(tcp=where)
    frames = consumer.over_tcp(where)
    first = next(frames)
    assert (first.number, newest(first)) == (5, dict.fromkeys(names, 4))
    frames.close()


def test_an_address_in_use_is_said(make: Make, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(TransientError, match="cannot listen"):
            make(tcp=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(TransientError, match="cannot listen"):
            make(publish=f"127.0.0.1:{taken.getsockname()[1]}", snapshots=address())


def test_options_that_say_nothing_are_refused() -> None:
    for given in ({}, {"publish": "127.0.0.1:1"}, {"tcp": "nowhere"}):
        with pytest.raises(ValueError, match=r"tcp|together"):
            StreamOptions.model_validate(given)


def test_zeromq(make: Make) -> None:
    publish, snapshots = address(), address()
    backend = make(publish=publish, snapshots=snapshots, heartbeat_s=0.05)
    backend.write({"g": values(0, 2)}, Position("j", 1))
    frames = consumer.over_zmq(publish, snapshots)
    first = next(frames)
    assert (first.kind, first.number, newest(first)) == (FrameKind.SNAPSHOT, 1, {"a": 1})
    while next(frames).kind is not FrameKind.HEARTBEAT:
        pass  # the subscription has arrived
    for number in range(2, 5):
        backend.write({"g": values(number, 1)}, Position("j", number))
    seen = itertools.islice((frame for frame in frames if frame.kind is FrameKind.CHANGES), 3)
    assert [(frame.number, frame.batch.source_time.tolist()) for frame in seen] == [(2, [2]), (3, [3]), (4, [4])]
    frames.close()


def test_zeromq_tells_of_a_gap(make: Make) -> None:
    """A subscriber that takes nothing while more is written than is kept for it."""
    publish, snapshots = address(), address()
    backend = make(publish=publish, snapshots=snapshots, heartbeat_s=0.05, buffer_bytes=2**20)
    frames = consumer.over_zmq(publish, snapshots)
    while next(frames).kind is not FrameKind.HEARTBEAT:
        pass
    for number in range(1, 3000):
        backend.write({"g": SampleBatch.from_columns("a", [number], [bytes(20_000)])})
    gap = next(frame for frame in frames if frame.kind is FrameKind.GAP)
    after = next(frames)
    assert gap.skipped[0] > 1
    assert (after.kind, after.number, newest(after)) == (FrameKind.SNAPSHOT, gap.number, {"a": gap.number})
    frames.close()


def test_the_command_prints_what_comes(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    where = address()
    make(tcp=where, heartbeat_s=0.01).write({"g": values(0, 1)})
    consumer.main(["--frames", "2", "tcp", where])
    assert capsys.readouterr().out.splitlines() == [
        "snapshot 1",
        "  a 1970-01-01T00:00:00.000000000Z 0x0 0.0",
        "heartbeat 1",
    ]


def test_something_else_is_no_frame() -> None:
    with pytest.raises(InvalidInputError, match="not a frame"):
        parse_header(b"HTTP/1.1 400 Bad Request"[:HEADER_BYTES])
    assert parse(b"FBST\x01\x04\0\0" + (7).to_bytes(8, "little") + bytes(8)).number == 7


def test_closing_waits_for_a_write_under_way(make: Make) -> None:
    """Whoever gave it has it passed on, and no error."""
    backend, frames = make(tcp=(where := address())), []
    subscriber = consumer.over_tcp(where)
    next(subscriber)
    closing = threading.Thread(target=backend.close)

    def meanwhile(_: object) -> None:
        closing.start()
        closing.join(0.1)  # no longer than it takes to do harm

    backend.write({"g": values(0, 1)}, None, meanwhile)
    closing.join()
    with pytest.raises(TransientError):
        frames += subscriber
    assert [frame.number for frame in frames] == [1]


def test_writers_at_once_keep_the_order(make: Make) -> None:
    """A lane and a copy: numbers come without a gap."""
    where = address()
    backend = make(tcp=where)
    frames = consumer.over_tcp(where)
    next(frames)

    def write(name: str) -> None:
        for number in range(20):
            backend.write({"g": values(number, 1, name)})

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    assert [frame.number for frame in itertools.islice(frames, 40)] == list(range(1, 41))
    for thread in threads:
        thread.join()
    frames.close()
