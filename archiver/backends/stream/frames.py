"""The frames that subscribers get: see docs/reference/stream-format.md."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from archiver.model import InvalidInputError, SampleBatch
from archiver.model.ipc import from_ipc, to_buffer

VERSION = 1
_MAGIC = b"FBST"
_HEADER = struct.Struct("<4sBBxxQQ")
_GAP = struct.Struct("<QQ")
HEADER_BYTES = _HEADER.size


class FrameKind(IntEnum):
    """What a frame says."""

    SNAPSHOT = 1
    """The newest sample of every element, after the change of this number."""
    CHANGES = 2
    """Samples, in the order of their arrival; the numbers of such frames ascend by one."""
    GAP = 3
    """Some changes were skipped, since the subscriber was too slow; a snapshot follows."""
    HEARTBEAT = 4
    """Nothing happened since the change of this number."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as a subscriber sees it.

    Parameters
    ----------
    kind : FrameKind
    number : int
        Of the change that it is, or up to which the subscriber is told everything now.
    batch : SampleBatch
        Empty in a gap and a heartbeat.
    skipped : tuple of int
        First and last number of the changes that are missing; empty but in a gap.
    """

    kind: FrameKind
    number: int
    batch: SampleBatch
    skipped: tuple[int, ...] = ()


def samples(kind: FrameKind, number: int, batch: SampleBatch) -> bytes:
    """Return a frame of samples as bytes."""
    return _pack(kind, number, to_buffer(batch.to_arrow()))


def gap(first: int, last: int) -> bytes:
    """Return the notice that changes were skipped, as bytes."""
    return _pack(FrameKind.GAP, last, _GAP.pack(first, last))


def heartbeat(number: int) -> bytes:
    """Return a sign of life as bytes."""
    return _pack(FrameKind.HEARTBEAT, number, b"")


def parse_header(header: bytes | bytearray) -> tuple[FrameKind, int, int]:
    """Return kind, number, and the size of what follows the header, bytes.

    Raises
    ------
    InvalidInputError
        This is no frame, or one of a newer version.
    """
    magic, version, kind, number, size = _HEADER.unpack(header)
    if magic != _MAGIC or version != VERSION:
        raise InvalidInputError(f"not a frame of forebay's stream in version {VERSION}: {header!r}")
    return FrameKind(kind), number, size


def parse(frame: bytes | bytearray) -> Frame:
    """Return a whole frame, header and payload; it looks into the bytes and copies nothing."""
    kind, number, _ = parse_header(frame[:HEADER_BYTES])
    payload = memoryview(frame)[HEADER_BYTES:]
    if kind in (FrameKind.SNAPSHOT, FrameKind.CHANGES):
        return Frame(kind, number, SampleBatch(from_ipc(payload)))
    return Frame(kind, number, SampleBatch.empty(), _GAP.unpack(payload) if kind is FrameKind.GAP else ())


def _pack(kind: FrameKind, number: int, payload: bytes | memoryview) -> bytes:
    return b"".join((_HEADER.pack(_MAGIC, VERSION, kind, number, len(payload)), payload))
