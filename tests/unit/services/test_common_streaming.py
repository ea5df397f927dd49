"""A streamed answer: a piece ahead of what is sent, and let go of when nobody takes it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from starlette.concurrency import run_in_threadpool

from archiver.model import StoppedError
from services.common import streaming
from services.common.streaming import AnswerResponse

PIECES = [b"head", b"first", b"second", b"third"]


class Answer:
    """Something that is read, and may be stopped."""

    def __init__(self) -> None:
        self.stopped, self.closed = threading.Event(), False

    def cancel(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed = True


def sent(answer, chunks, send, receive=None):
    """Send a response, to a client that stays unless `receive` says otherwise."""

    async def wait_for_ever():
        await asyncio.Event().wait()

    asyncio.run(AnswerResponse(answer, chunks, "text/plain")({}, receive or wait_for_ever, send))


def test_all_pieces_come_in_order():
    answer, bodies = Answer(), []

    async def send(message):
        bodies.append(message.get("body", b""))

    sent(answer, iter(PIECES), send)
    assert b"".join(bodies) == b"".join(PIECES)
    assert answer.closed


def test_the_next_piece_is_made_while_one_is_sent():
    made = threading.Event()

    def chunks():
        yield from PIECES[:3]
        made.set()
        yield PIECES[3]

    async def send(message):
        if message.get("body") == b"second":
            assert await asyncio.to_thread(made.wait, 60), "it was not made before the one before was sent"

    sent(Answer(), chunks(), send)


def test_a_piece_under_way_is_stopped_when_sending_fails():
    """It ends, the generator is closed after that, and the error is the one of sending."""
    answer, ended = Answer(), []

    def chunks():
        try:
            yield from PIECES[:3]
            assert answer.stopped.wait(60)
            raise StoppedError("the reader went away")
        finally:
            ended.append(True)

    async def send(message):
        if message.get("body") == b"second":
            raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        sent(answer, chunks(), send)
    assert ended == [True]
    assert answer.closed


def test_a_failure_of_reading_ends_the_response_before_its_end():
    bodies = []

    def chunks():
        yield from PIECES[:3]
        raise OSError("the disk is gone")

    async def send(message):
        bodies.append(message)

    with pytest.raises(OSError, match="the disk is gone"):
        sent(Answer(), chunks(), send)
    assert bodies[-1] == {"type": "http.response.body", "body": b"second", "more_body": True}


def test_few_read_at_a_time_and_others_need_not_wait_for_them():
    """A crowd of readers takes the time of the intake; a question that reads nothing is answered beside it."""
    lock, free = threading.Lock(), threading.Event()
    running, most = 0, 0

    def read():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert free.wait(60)
        with lock:
            running -= 1

    async def all_of_them():
        readers = [asyncio.create_task(streaming.read_in_turn(read)) for _ in range(10 * streaming._READERS)]
        while running < streaming._READERS:
            await asyncio.sleep(0.001)
        assert await run_in_threadpool(lambda: "quick") == "quick"
        free.set()
        await asyncio.gather(*readers)

    asyncio.run(all_of_them())
    assert most == streaming._READERS
