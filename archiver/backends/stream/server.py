"""The side of the stream that subscribers see: one thread with an event loop, which no subscriber can block."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from typing import Any

import zmq
import zmq.asyncio

from archiver.backends.stream import frames
from archiver.backends.stream.options import StreamOptions
from archiver.backends.stream.subscriber import Snapshot, Subscriber
from archiver.model import TransientError

_LAST_WORDS_S = 2.0
_ZMQ_FRAME = 2**20
_TURNS = 5


class Server:
    """Listens where the options say, and sends changes to all who are connected.

    Parameters
    ----------
    options : StreamOptions
    snapshot : callable
        See `Snapshot`; called in the server's thread.
    name : str
        Of the backend.
    """

    def __init__(self, options: StreamOptions, snapshot: Snapshot, name: str) -> None:
        self._options = options
        self._snapshot = snapshot
        self._subscribers: set[Subscriber] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._publisher: Any = None
        self._number = 0
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"stream-{name}", daemon=True)

    def start(self) -> None:
        """Listen.

        Raises
        ------
        TransientError
            An address cannot be listened on now.
        """
        self._thread.start()
        try:
            self._loop = self._ready.result()
        except (OSError, zmq.ZMQError) as exc:
            self._thread.join()
            raise TransientError(f"the stream cannot listen: {exc}; free the address, or give another") from exc

    def stop(self) -> None:
        """Send what waits, for a moment, and cut all off."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def publish(self, number: int, frame: bytes) -> None:
        """Hand a change to all who are connected, from any thread, in the order of the calls."""
        self._loop.call_soon_threadsafe(self._offer, number, frame)

    def _offer(self, number: int, frame: bytes) -> None:
        self._number = number
        for subscriber in self._subscribers:
            subscriber.offer(number, frame)
        self._broadcast(frame)

    def _broadcast(self, frame: bytes) -> None:
        if self._publisher is not None:
            self._publisher.send(frame, zmq.NOBLOCK)  # to one whose queue is full it is not sent: numbers tell

    # -- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as exc:  # who starts it hears of it
            if not self._ready.done():
                self._ready.set_exception(exc)
                return
            raise

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            if self._options.publish is not None:
                self._open_zmq(stack)
            listening = await self._listen() if self._options.tcp is not None else None
            self._ready.set_result(asyncio.get_running_loop())
            await self._ended.wait()
            if listening is not None:
                listening.close()
                for _ in range(_TURNS):  # asyncio forgets a connection that it has accepted and not yet made ours
                    await asyncio.sleep(0)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await asyncio.gather(*(subscriber.idle.wait() for subscriber in self._subscribers))
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _listen(self) -> asyncio.Server:
        host, port = str(self._options.tcp).rsplit(":", 1)
        return await asyncio.start_server(self._accept, host, int(port))

    def _open_zmq(self, stack: AsyncExitStack) -> None:
        context = zmq.asyncio.Context()
        stack.callback(context.destroy, linger=int(_LAST_WORDS_S * 1000))
        publisher: Any = context.socket(zmq.PUB, socket_class=zmq.Socket)  # type: ignore[arg-type]  # it never waits
        publisher.set_hwm(max(1, self._options.buffer_bytes // _ZMQ_FRAME))
        publisher.bind(f"tcp://{self._options.publish}")
        router = context.socket(zmq.ROUTER)
        router.bind(f"tcp://{self._options.snapshots}")
        self._publisher = publisher
        for work in (self._answer(router), self._beat()):
            self._keep(asyncio.create_task(work))

    async def _answer(self, router: zmq.asyncio.Socket) -> None:
        """Send a snapshot to whoever asks, whatever he says."""
        while True:
            who, *_ = await router.recv_multipart()
            await router.send_multipart([who, self._snapshot()[1]])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._options.heartbeat_s)
            self._broadcast(frames.heartbeat(self._number))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._keep(asyncio.create_task(self._serve_one(writer)))

    async def _serve_one(self, writer: asyncio.StreamWriter) -> None:
        subscriber = Subscriber(writer, self._snapshot, self._options)
        self._subscribers.add(subscriber)
        try:
            await subscriber.serve()
        except OSError:  # it is gone, or stalled: it gets all newest values when it comes again
            pass
        finally:
            self._subscribers.discard(subscriber)
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
            self._writers.discard(writer)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
