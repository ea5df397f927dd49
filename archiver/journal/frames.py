"""How the journal lies on the disk: a file is a header and frames, and a frame is what one sync made durable.

A frame says how long it is and carries a checksum over all of it, so that one that a crash tore apart is recognised.
The frame after a torn one cannot be there: it is written when the one before it is durable.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

FORMAT = 1
_KIND = b"\x89forebay-journal\r\n"
_FILE = struct.Struct("<18sH16sQqI")  # kind, format, stream, first offset, newest receive time before, checksum
_MARK = b"\x89frame\r\n"
_FRAME = struct.Struct(
    "<8sIIQQ"
)  # mark, checksum of all that follows, number of entries, first offset, bytes that follow
_SUMMED = struct.Struct("<IQQ")
_ENTRY = struct.Struct("<IqQQ")  # rows, receive time, bytes of the account, bytes of the payload
HEAD_BYTES = _FILE.size


class DamagedError(Exception):
    """What lies there is no header or frame, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one append made: a number of samples, when they were received (ns), their account and themselves."""

    rows: int
    received: int
    account: bytes | memoryview
    payload: bytes | memoryview

    @property
    def size(self) -> int:
        """Bytes of account and payload."""
        return len(self.account) + len(self.payload)


@dataclass(frozen=True, slots=True)
class Head:
    """The header of a file: the journal it is of, its first offset, and the greatest receive time (ns) before it."""

    stream: str
    first: int
    newest: int

    def to_bytes(self) -> bytes:
        """Return it as `read_head` takes it."""
        fields = _FILE.pack(_KIND, FORMAT, UUID(self.stream).bytes, self.first, self.newest, 0)[:-4]
        return fields + zlib.crc32(fields).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame in a file: where it begins and ends, the offset of its first entry, and facts of each.

    Parameters
    ----------
    position, end : int
        Bytes from the beginning of the file.
    first : int
    table : tuple of (rows, received, bytes of the account, bytes of the payload)
        One an entry.
    """

    position: int
    end: int
    first: int
    table: tuple[tuple[int, int, int, int], ...]

    @property
    def last(self) -> int:
        """Offset of the last entry."""
        return self.first + len(self.table) - 1

    @property
    def rows(self) -> int:
        """Number of samples."""
        return sum(rows for rows, *_ in self.table)


def read_head(file: BinaryIO) -> Head:
    """Return the header of a file.

    Raises
    ------
    DamagedError
        It has none, or one of a newer format.
    """
    raw = file.read(_FILE.size)
    if len(raw) < _FILE.size or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise DamagedError("it has no whole header")
    kind, version, stream, first, newest, _ = _FILE.unpack(raw)
    if kind != _KIND:
        raise DamagedError("it is not a file of a journal")
    if version > FORMAT:
        raise DamagedError(f"it has format {version}, newer than {FORMAT}: upgrade forebay")
    return Head(UUID(bytes=stream).hex, first, newest)


def to_buffers(first: int, entries: Sequence[Entry]) -> list[bytes | memoryview]:
    """Return a frame as buffers to be written one after the other."""
    table = b"".join(_ENTRY.pack(e.rows, e.received, len(e.account), len(e.payload)) for e in entries)
    body = [table, *(part for entry in entries for part in (entry.account, entry.payload) if len(part))]
    summed = _SUMMED.pack(len(entries), first, sum(map(len, body)))
    checksum = zlib.crc32(summed)
    for part in body:
        checksum = zlib.crc32(part, checksum)
    return [_MARK + checksum.to_bytes(4, "little") + summed, *body]


def read_frame(file: BinaryIO, position: int, *, whole: bool) -> tuple[Frame, memoryview]:
    """Return the frame at a position and, with `whole`, the bytes after its table; then its checksum is looked at.

    Raises
    ------
    DamagedError
        There is no frame, or not all of it.
    """
    file.seek(position)
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size or not head.startswith(_MARK):
        raise DamagedError(f"there is no frame at byte {position}")
    _, checksum, count, first, size = _FRAME.unpack(head)
    length = count * _ENTRY.size
    torn = length > size or position + _FRAME.size + size > os.fstat(file.fileno()).st_size
    body = b"" if torn else file.read(size if whole else length)
    if torn or (whole and zlib.crc32(body, zlib.crc32(head[-_SUMMED.size :])) != checksum):
        raise DamagedError(f"the frame at byte {position} is not as it was written")
    frame = Frame(position, position + _FRAME.size + size, first, tuple(_ENTRY.iter_unpack(body[:length])))
    return frame, memoryview(body)[length:]


def entries_of(frame: Frame, body: memoryview) -> Iterator[tuple[int, Entry]]:
    """Yield offset and entry of all that a frame holds."""
    at = 0
    for offset, (rows, received, account, payload) in enumerate(frame.table, frame.first):
        middle, end = at + account, at + account + payload
        yield offset, Entry(rows, received, bytes(body[at:middle]), body[middle:end])
        at = end


def accounts_of(frame: Frame, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield offset and account of the entries of a frame that have one, and read no more than these."""
    at = frame.end - sum(account + payload for _, _, account, payload in frame.table)
    for offset, (_, _, account, payload) in enumerate(frame.table, frame.first):
        if account:
            file.seek(at)
            yield offset, file.read(account)
        at += account + payload


def frame_after(file: BinaryIO, position: int, size: int) -> int | None:
    """Return where the next whole frame begins at or after a position, of a file of so many bytes; None if nowhere."""
    file.seek(position)
    rest = file.read(size - position)
    at = rest.find(_MARK)
    while at >= 0:
        try:
            return read_frame(file, position + at, whole=True)[0].position
        except DamagedError:
            at = rest.find(_MARK, at + 1)
    return None
