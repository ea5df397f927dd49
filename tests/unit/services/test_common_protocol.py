"""What is written in a turn of the event loop goes out together, and to nobody when the client has gone."""

from __future__ import annotations

import asyncio

from services.common.protocol import JoiningTransport


class Transport:
    """Takes down what is written, and refuses it once it is closed, as uvloop's does."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


def written(*, leaves: bool) -> tuple[list[bytes], list[object]]:
    """Return what came of two writes to a client, and what the loop had to complain of."""
    transport, complaints = Transport(), []

    async def write() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        joining = JoiningTransport(transport, loop)  # type: ignore[arg-type]
        joining.write(b"head")
        joining.write(b"body")
        transport.closed = leaves
        await asyncio.sleep(0)
        joining.close()

    asyncio.run(write())
    return transport.written, complaints


def test_one_write_per_turn() -> None:
    assert written(leaves=False) == ([b"headbody"], [])


def test_a_client_that_goes_in_between_is_no_error() -> None:
    assert written(leaves=True) == ([], [])
