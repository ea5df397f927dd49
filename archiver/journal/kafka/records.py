"""A journal entry as a Kafka record: the samples as value; what is counted, and the account, as headers.

The offset of a record is the offset of its entry. The first record that a partition keeps is never an entry: it is
the one that founded the journal, or the last one that was trimmed. It says what was counted up to itself, so that a
journal knows its state from its first and its last record, without reading what lies between.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import Any

from archiver.journal.payload import decode
from archiver.model import PermanentError, SampleBatch
from archiver.ports import JournalEntry

_LOG = logging.getLogger(__name__)
_FORMAT = 1
_COUNTS = struct.Struct("<BIqqQQ")
_HEADER, _ACCOUNT = "forebay.entry", "forebay.account"

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of an entry without its samples.

    Parameters
    ----------
    rows, bytes : int
        Of this entry.
    received : int
        Its receive time, ns.
    newest : int
        Greatest receive time of all up to this entry, ns.
    rows_through, bytes_through : int
        Of all entries ever up to and including this one.
    """

    rows: int
    bytes: int
    received: int
    newest: int
    rows_through: int
    bytes_through: int

    def then(self, rows: int, size: int, received: int, newest: int) -> Mark:
        """Return the mark of an entry that follows."""
        total = self.rows_through + rows, self.bytes_through + size
        return Mark(rows, size, received, max(self.newest, newest), *total)


def headers_of(mark: Mark, account: bytes) -> Headers:
    """Return the headers of an entry's record."""
    counts = (mark.rows, mark.received, mark.newest, mark.rows_through, mark.bytes_through)
    headers = [(_HEADER, _COUNTS.pack(_FORMAT, *counts))]
    return [*headers, (_ACCOUNT, account)] if account else headers


def mark_of(message: Any) -> Mark:
    """Return what the headers of a record say; a record that is no entry of ours counts nothing.

    Raises
    ------
    PermanentError
        The record is of a newer format.
    """
    packed = dict(message.headers() or ()).get(_HEADER)
    if packed is None:
        _LOG.error("topic %s: the record at offset %d is no journal entry: something else writes to the topic",
                   message.topic(), message.offset())  # fmt: skip
        return Mark(0, 0, 0, 0, 0, 0)
    if packed[0] > _FORMAT:
        raise PermanentError(f"topic {message.topic()} has entries of format {packed[0]}: upgrade forebay")
    _, rows, received, newest, *through = _COUNTS.unpack(packed)
    return Mark(rows, len(message.value() or b"") + len(account_of(message)), received, newest, *through)


def account_of(message: Any) -> bytes:
    """Return the account of an entry, nothing when it has none."""
    return dict(message.headers() or ()).get(_ACCOUNT) or b""


def entry_of(message: Any) -> JournalEntry:
    """Return the entry of a record."""
    ours = any(name == _HEADER for name, _ in message.headers() or ())
    payload = message.value() if ours else b""
    return JournalEntry(message.offset(), decode(payload) if payload else SampleBatch.empty())
