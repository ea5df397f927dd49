"""Consumers of the stream: read them to write your own, or run this to see what comes.

::

    python -m archiver.backends.stream.consumer tcp localhost:5600
    python -m archiver.backends.stream.consumer zmq localhost:5601 localhost:5602
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import zmq

from archiver.backends.stream.frames import HEADER_BYTES, Frame, FrameKind, parse, parse_header
from archiver.model import SampleBatch, TransientError, format_time

SILENCE_S = 20.0
"""Without any frame for so long (several heartbeats) the other side is taken to be gone."""


def over_tcp(address: str) -> Iterator[Frame]:
    """Yield frames from a TCP address (host:port): a snapshot, then changes; after a gap a snapshot again.

    Raises
    ------
    TransientError
        The connection was lost: call it again, and begin with the snapshot.
    """
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), SILENCE_S) as connection:
            while True:
                frame = bytearray(HEADER_BYTES)
                _fill(connection, memoryview(frame))
                frame += bytes(parse_header(frame)[2])
                _fill(connection, memoryview(frame)[HEADER_BYTES:])
                yield parse(frame)
    except OSError as exc:
        raise TransientError(f"{address}: {exc or 'silent'}") from exc


def _fill(connection: socket.socket, room: memoryview) -> None:
    while room:
        taken = connection.recv_into(room)
        if not taken:
            raise ConnectionResetError("the connection was closed")
        room = room[taken:]


def over_zmq(publish: str, snapshots: str) -> Iterator[Frame]:
    """Yield frames from the two ZeroMQ addresses (host:port), as `over_tcp` does.

    Changes are listened to before the snapshot is asked for, so that none is missed in between. A number that is
    not the next one tells of a gap: it is given as a frame, and a new snapshot follows.

    Raises
    ------
    TransientError
        Nothing came for too long: call it again.
    """
    with zmq.Context() as context, context.socket(zmq.SUB) as changes, context.socket(zmq.DEALER) as asking:
        changes.setsockopt(zmq.RCVTIMEO, int(SILENCE_S * 1000))
        changes.setsockopt(zmq.SUBSCRIBE, b"")
        changes.connect(f"tcp://{publish}")
        asking.setsockopt(zmq.RCVTIMEO, int(SILENCE_S * 1000))
        asking.setsockopt(zmq.LINGER, 0)
        asking.connect(f"tcp://{snapshots}")
        try:
            snapshot = _ask(asking)
            yield snapshot
            reached = snapshot.number
            while True:
                frame = parse(changes.recv())
                beyond = frame.kind is FrameKind.CHANGES
                if frame.number > reached + beyond:
                    snapshot = _ask(asking)
                    yield Frame(FrameKind.GAP, snapshot.number, SampleBatch.empty(), (reached + 1, snapshot.number))
                    yield snapshot
                    reached = snapshot.number
                elif not beyond or frame.number > reached:
                    yield frame
                    reached = max(reached, frame.number)
        except zmq.Again as exc:
            raise TransientError(f"{publish} and {snapshots}: silent for {SILENCE_S:.0f} s") from exc


def _ask(asking: Any) -> Frame:
    asking.send(b"snapshot")
    return parse(asking.recv())


def main(words: Sequence[str] | None = None) -> None:
    """Print a line per frame, and one per sample: element, source time, status and value."""
    parser = argparse.ArgumentParser(description="Show what comes over a stream.")
    ways = parser.add_subparsers(dest="way", required=True)
    tcp, zeromq = ways.add_parser("tcp"), ways.add_parser("zmq")
    tcp.add_argument("address", help="host:port")
    zeromq.add_argument("publish", help="host:port")
    zeromq.add_argument("snapshots", help="host:port")
    parser.add_argument("--frames", type=int, help="stop after so many")
    given = parser.parse_args(words)
    frames = over_tcp(given.address) if given.way == "tcp" else over_zmq(given.publish, given.snapshots)
    for frame in islice(frames, given.frames):
        skipped = " ({}-{} skipped)".format(*frame.skipped) if frame.skipped else ""
        sys.stdout.write(f"{frame.kind.name.lower()} {frame.number}{skipped}\n")
        for element, source_time, _, _, status, _, value in frame.batch.to_pylist():
            sys.stdout.write(f"  {element} {format_time(source_time)} {status:#x} {value}\n")


if __name__ == "__main__":
    main()
