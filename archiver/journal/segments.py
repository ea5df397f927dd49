"""The files of the embedded journal: appended to one after the other, removed from the front as a whole."""

from __future__ import annotations

import json
import logging
import os
import threading
import uuid
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from archiver.journal.frames import (
    HEAD_BYTES,
    DamagedError,
    Entry,
    Frame,
    Head,
    accounts_of,
    entries_of,
    frame_after,
    read_frame,
    read_head,
    to_buffers,
)
from archiver.model import PermanentError
from archiver.model.disk import make_folder, sync

_LOG = logging.getLogger(__name__)
_SEGMENT_BYTES = 32 * 2**20
_MARK_BYTES = 64 * 2**10
_MOST_BUFFERS = 1000  # of one system call


@dataclass(frozen=True, slots=True)
class Totals:
    """Entries, samples and bytes of a part of the journal, and when the first of it was received (ns)."""

    entries: int = 0
    rows: int = 0
    bytes: int = 0
    oldest: int | None = None


@dataclass
class Segment:
    """One file: its entries counted, and every so often where a frame begins.

    Parameters
    ----------
    marks : list of (first offset, position, samples before, bytes before)
        Of some frames; offsets and positions ascend.
    """

    path: Path
    head: Head
    last: int
    newest: int
    size: int = HEAD_BYTES
    rows: int = 0
    bytes: int = 0
    marks: list[tuple[int, int, int, int]] = field(default_factory=list)

    def add(self, frame: Frame) -> None:
        """Count the next frame."""
        if not self.marks or frame.position - self.marks[-1][1] >= _MARK_BYTES:
            self.marks.append((frame.first, frame.position, self.rows, self.bytes))
        self.last, self.size = frame.last, frame.end
        for rows, received, account, payload in frame.table:
            self.rows += rows
            self.bytes += account + payload
            self.newest = max(self.newest, received)

    def mark_before(self, offset: int) -> tuple[int, int, int, int]:
        """Return the last mark at or before an offset."""
        place = bisect_right(self.marks, offset, key=lambda mark: mark[0])
        return self.marks[place - 1] if place else (self.head.first, HEAD_BYTES, 0, 0)


class Segments:
    """All files of one journal.

    One thread appends and removes; any number read meanwhile.

    Parameters
    ----------
    folder : Path
        Of these files alone; made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segments: list[Segment] = []
        self._file: int | None = None  # descriptor of the last segment, where appends go
        self._lock = threading.Lock()
        self._trimmed = 0
        self.stream = ""

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Find what is there, and cut off what a crash left of an append that nobody was told of.

        Raises
        ------
        PermanentError
            A file is damaged, or of a newer format.
        OSError
        """
        make_folder(self._folder)
        self._segments = []
        paths = sorted(self._folder.glob("*.log"))
        for path in reversed(paths):  # a frame that could not be cut off is there once more in the next file
            self._segments.insert(0, self._recover(path, self._segments[0] if self._segments else None))
        self._trimmed = self._read_trimmed()
        if not self._segments:
            self.stream = uuid.uuid4().hex
            self._begin()
            return
        streams = {segment.head.stream for segment in self._segments}
        if len(streams) > 1:
            raise PermanentError(f"{self._folder} has files of several journals: {', '.join(sorted(streams))}")
        self.stream = streams.pop()
        self._check_order()
        self._append_to(self._segments[-1].path)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def first(self) -> int:
        """Offset of the oldest entry that was not removed, or of the next one when there is none."""
        oldest = self._segments[0].head.first if self._segments else 1
        return max(oldest, self._trimmed + 1)

    @property
    def last(self) -> int:
        """Offset of the newest entry that there ever was, 0 when there was none."""
        return max(self._segments[-1].last if self._segments else 0, self._trimmed)

    @property
    def newest(self) -> int:
        """Greatest receive time of all entries that there ever were, ns."""
        return self._segments[-1].newest if self._segments else 0

    # -- writing --------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries behind the last one; they are durable when this returns.

        Raises
        ------
        OSError
            The disk is full or broken: nothing of it is in the journal.
        """
        segment = self._active()
        assert self._file is not None
        first = self.last + 1
        buffers = to_buffers(first, entries)
        try:
            _write(self._file, buffers)
            os.fdatasync(self._file)
        except BaseException:
            self._undo(segment)
            raise
        table = tuple((e.rows, e.received, len(e.account), len(e.payload)) for e in entries)
        with self._lock:
            segment.add(Frame(segment.size, segment.size + sum(map(len, buffers)), first, table))

    def _active(self) -> Segment:
        """Return the segment to append to: a new one when the last one is long enough, or cannot be used any more."""
        if self._file is not None and self._segments[-1].size < _SEGMENT_BYTES:
            return self._segments[-1]
        _write_index(self._segments[-1])
        return self._begin()

    def _begin(self) -> Segment:
        """Begin a file, and append to that one."""
        head = Head(self.stream, self.last + 1, self.newest)
        path = self._folder / f"{head.first:020}.log"
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(head.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)  # an empty one of the same name may be there, after a failure
        sync(self._folder)
        self._append_to(path)
        segment = Segment(path, head, head.first - 1, head.newest)
        with self._lock:
            self._segments = [*(other for other in self._segments if other.path != path), segment]
        return segment

    def _append_to(self, path: Path) -> None:
        self.close()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _undo(self, segment: Segment) -> None:
        """Cut off what a failed append left, and go on in a new file: the disk may have lost pages of this one."""
        assert self._file is not None
        with suppress(OSError):  # `open` does it otherwise
            os.ftruncate(self._file, segment.size)
            os.fsync(self._file)
        self.close()

    def trim(self, through: int) -> None:
        """Forget entries up to and including an offset; files of forgotten entries alone are removed."""
        with self._lock:
            self._trimmed = max(self._trimmed, min(through, self.last))
            gone = [segment for segment in self._segments[:-1] if segment.last <= self._trimmed]
            self._segments = self._segments[len(gone) :]
        fresh = self._folder / "trimmed.new"
        with fresh.open("w") as file:
            file.write(f"{self._trimmed}\n")
            if gone:  # else what comes back after a power cut is trimmed once more
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(self._folder / "trimmed")
        if gone:
            sync(self._folder)
        for segment in gone:
            _index_of(segment.path).unlink(missing_ok=True)
            segment.path.unlink(missing_ok=True)

    # -- reading --------------------------------------------------------------------------------------

    def read(self, after: int) -> Iterator[tuple[int, Entry]]:
        """Yield the entries after an offset, in order; ends early where they are removed meanwhile.

        Raises
        ------
        PermanentError
            They are damaged.
        """
        for segment in self._after(after):
            position, end = self._place(segment, after)
            with suppress(FileNotFoundError), segment.path.open("rb") as file:
                while position < end:
                    try:
                        frame, body = read_frame(file, position, whole=True)
                    except DamagedError as exc:
                        raise PermanentError(_damaged(segment.path, position, str(exc))) from exc
                    yield from (found for found in entries_of(frame, body) if found[0] > after)
                    position = frame.end
                continue
            return

    def accounts(self, after: int) -> list[tuple[int, bytes]]:
        """Return the accounts after an offset that are not empty, with their offsets."""
        found: list[tuple[int, bytes]] = []
        for segment in self._after(after):
            with suppress(FileNotFoundError), segment.path.open("rb") as file:
                for frame in self._frames(file, segment, after):
                    found += [(offset, account) for offset, account in accounts_of(frame, file) if offset > after]
        return found

    def totals(self, after: int, last: int) -> Totals:
        """Return what lies after an offset, up to and including another, counted."""
        after = max(after, self._trimmed)
        if after >= last:
            return Totals()
        rows, size, _ = self._before(last + 1)
        skipped_rows, skipped_bytes, oldest = self._before(after + 1)
        return Totals(last - after, rows - skipped_rows, size - skipped_bytes, oldest)

    def _before(self, offset: int) -> tuple[int, int, int | None]:
        """Return samples and bytes before an offset, in the files there are, and when that entry was received."""
        rows = size = 0
        with self._lock:
            whole = [segment for segment in self._segments if segment.last < offset]
            rest = next((segment for segment in self._segments if segment.last >= offset), None)
            rows, size = sum(segment.rows for segment in whole), sum(segment.bytes for segment in whole)
        if rest is None:
            return rows, size, None
        with rest.path.open("rb") as file:
            _, _, more_rows, more_bytes = rest.mark_before(offset)
            for frame in self._frames(file, rest, offset - 1):
                for at, (count, received, account, payload) in enumerate(frame.table, frame.first):
                    if at == offset:
                        return rows + more_rows, size + more_bytes, received
                    more_rows, more_bytes = more_rows + count, more_bytes + account + payload
        raise PermanentError(_damaged(rest.path, rest.size, f"it lacks entry {offset}"))

    def _after(self, after: int) -> list[Segment]:
        with self._lock:
            return [segment for segment in self._segments if segment.last > after]

    def _place(self, segment: Segment, after: int) -> tuple[int, int]:
        """Return where a frame begins that holds what comes after an offset, or is before that; and where all end."""
        with self._lock:
            return segment.mark_before(after + 1)[1], segment.size

    def _frames(self, file: BinaryIO, segment: Segment, after: int) -> Iterator[Frame]:
        """Yield the frames of a segment, without what they hold, from there on."""
        position, end = self._place(segment, after)
        while position < end:
            frame, _ = read_frame(file, position, whole=False)
            yield frame
            position = frame.end

    # -- recovery -------------------------------------------------------------------------------------

    def _recover(self, path: Path, following: Segment | None) -> Segment:
        """Return a file, counted, without what a crash left at its end."""
        size = path.stat().st_size
        with path.open("rb") as file:
            try:
                head = read_head(file)
            except DamagedError as exc:
                raise PermanentError(_damaged(path, 0, str(exc))) from exc
            segment = Segment(path, head, head.first - 1, head.newest)
            if following is not None and _read_index(segment, size) and segment.last < following.head.first:
                return segment
            reached = self._count(file, segment, size, following)
        if reached < size:
            _LOG.warning("%s: %d bytes of an append that was not acknowledged are cut off", path, size - reached)
            os.truncate(path, reached)
        return segment

    def _count(self, file: BinaryIO, segment: Segment, size: int, following: Segment | None) -> int:
        """Count all frames of a file from the front; return where they end."""
        while segment.size < size:
            try:
                frame, _ = read_frame(file, segment.size, whole=True)
            except DamagedError as exc:
                if (next_one := frame_after(file, segment.size + 1, size)) is not None:
                    reason = f"{exc}, but there is one at {next_one}"
                    raise PermanentError(_damaged(segment.path, segment.size, reason)) from exc
                return segment.size
            if following is not None and frame.last >= following.head.first:
                return segment.size  # could not be cut off when it failed
            segment.add(frame)
        return size

    def _check_order(self) -> None:
        """Raise when a file is missing between two others."""
        for before, after in zip(self._segments, self._segments[1:], strict=False):
            if before.last + 1 != after.head.first and after.head.first > self._trimmed + 1:
                missing = f"entries {before.last + 1} to {after.head.first - 1}"
                raise PermanentError(f"{self._folder} lacks {missing}: a file is gone; put it back")

    def _read_trimmed(self) -> int:
        try:
            return int((self._folder / "trimmed").read_text())
        except (FileNotFoundError, ValueError):  # torn by a power cut: what comes back is trimmed once more
            return 0


def _write(descriptor: int, buffers: Sequence[bytes | memoryview]) -> None:
    """Write all of some buffers."""
    for start in range(0, len(buffers), _MOST_BUFFERS):
        left = [memoryview(buffer) for buffer in buffers[start : start + _MOST_BUFFERS]]
        while left:
            count = os.writev(descriptor, left)
            while left and count >= len(left[0]):
                count -= len(left.pop(0))
            if left:
                left[0] = left[0][count:]


def _damaged(path: Path, position: int, reason: str) -> str:
    return (
        f"the journal is damaged: {path} at byte {position}: {reason}; put a copy of the file back, or move the whole "
        "folder away to begin a new journal without what no backend has yet"
    )


# A file that is not appended to any more has its counts beside it, so that `open` need not read it. They are never
# synced: they carry a checksum, and are made again from the file otherwise.


def _index_of(path: Path) -> Path:
    return path.with_suffix(".index")


def _write_index(segment: Segment) -> None:
    facts = [segment.last, segment.newest, segment.size, segment.rows, segment.bytes, segment.marks]
    text = json.dumps(facts).encode()
    with suppress(OSError):
        _index_of(segment.path).write_bytes(zlib.crc32(text).to_bytes(4, "little") + text)


def _read_index(segment: Segment, size: int) -> bool:
    """Fill in the counts of a segment from beside it; return whether they are there, and of a file of this size."""
    try:
        raw = _index_of(segment.path).read_bytes()
    except FileNotFoundError:
        return False
    if zlib.crc32(raw[4:]).to_bytes(4, "little") != raw[:4]:
        return False
    last, newest, length, rows, count, marks = json.loads(raw[4:])
    if length != size:
        return False
    segment.last, segment.newest, segment.size, segment.rows, segment.bytes = last, newest, length, rows, count
    segment.marks = [tuple(mark) for mark in marks]
    return True
