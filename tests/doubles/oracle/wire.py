"""Packets of the transport (TNS), and the stream of a session's messages that they carry."""

from __future__ import annotations

import socket
import struct

DATA, MARKER, ACCEPT, REFUSE = 6, 12, 2, 4
_END_OF_FILE = 0x40
_PACKET = 8000


class ClosedError(Exception):
    """The client is gone, or is to be dropped."""


class InterruptedCallError(Exception):
    """The client broke off its call."""


class OracleError(Exception):
    """What a statement fails with: a number and a message."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.message = f"ORA-{number:05d}: {message}"


class Wire:
    """One connection: packets are read as they are needed."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.long_lengths = False
        self._buffer = b""
        self._at = 0

    def packet(self) -> tuple[int, bytes]:
        """Return type and body of the next packet."""
        head = self._receive(8)
        (size,) = struct.unpack(">I", head[:4]) if self.long_lengths else struct.unpack(">H", head[:2])
        return head[4], self._receive(size - 8)

    def take(self, count: int) -> bytes:
        """Return the next bytes of the stream."""
        while len(self._buffer) - self._at < count:
            self._fill()
        self._at += count
        return self._buffer[self._at - count : self._at]

    def u1(self) -> int:
        return self.take(1)[0]

    def ub(self) -> int:
        size = self.u1()
        return int.from_bytes(self.take(size), "big") if size else 0

    def lb(self) -> bytes | None:
        size = self.u1()
        if size in (0, 255):
            return None
        if size != 254:
            return self.take(size)
        chunks = []
        while length := self.ub():
            chunks.append(self.take(length))
        return b"".join(chunks)

    def b2(self) -> bytes | None:
        return self.lb() if self.ub() else None

    def send(self, kind: int, body: bytes) -> None:
        size = len(body) + 8
        length = struct.pack(">I", size) if self.long_lengths else struct.pack(">HH", size, 0)
        self.socket.sendall(length + bytes([kind, 0, 0, 0]) + body)

    def reply(self, body: bytes) -> None:
        """Send a message, in as many packets as it takes."""
        for start in range(0, max(len(body), 1), _PACKET):
            self.send(DATA, b"\0\0" + body[start : start + _PACKET])

    def answer_break(self, error: bytes) -> None:
        """Go through the exchange of markers that ends a broken call, and send its error."""
        self._buffer, self._at = b"", 0
        self.send(MARKER, b"\1\0\1")
        while True:
            kind, body = self.packet()
            if kind == MARKER and body[2] == 2:
                break
        self.send(MARKER, b"\1\0\2")
        self.reply(error)

    def drop(self) -> None:
        """End the connection as a crash of the server would."""
        self.socket.shutdown(socket.SHUT_RDWR)
        raise ClosedError

    def _receive(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            part = self.socket.recv(count - len(found))
            if not part:
                raise ClosedError
            found += part
        return bytes(found)

    def _fill(self) -> None:
        kind, body = self.packet()
        if kind == MARKER:
            raise InterruptedCallError
        if kind != DATA or struct.unpack(">H", body[:2])[0] & _END_OF_FILE:
            raise ClosedError
        self._buffer = self._buffer[self._at :] + body[2:]
        self._at = 0
