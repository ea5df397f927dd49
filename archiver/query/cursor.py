"""Where an answer stopped, as an opaque text that continues it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace

from archiver.model import Interval, InvalidInputError
from archiver.query.request import Query

_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row given, and the interval of the first question.

    Parameters
    ----------
    interval : Interval
    element : str
    time : int
        Source time of the last sample, or end of the last bucket, ns.
    sequence, receive_time : int
        Of the last sample; 0 for a bucket.
    """

    interval: Interval
    element: str
    time: int
    sequence: int = 0
    receive_time: int = 0

    def encode(self, query: Query) -> str:
        """Return the text; it goes with queries that make the same rows as `query`."""
        fields = [self.interval.start, self.interval.end, self.element, self.time, self.sequence, self.receive_time]
        payload = json.dumps(fields, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(_digest(payload, query) + payload).decode().rstrip("=")


def resumed(query: Query) -> tuple[Query, Cursor | None]:
    """Return a query with the interval of its first page, and its cursor.

    Raises
    ------
    InvalidInputError
        The cursor does not belong to the query.
    """
    if not query.cursor:
        return query, None
    cursor = decode(query.cursor, query)
    return replace(query, interval=cursor.interval), cursor


def decode(text: str, query: Query) -> Cursor:
    """Return the cursor of a text that `Cursor.encode` made.

    Raises
    ------
    InvalidInputError
        It was altered, cut, or comes from a query that asks for something else.
    """
    error = InvalidInputError(
        "the cursor does not belong to this query: pass it on unchanged, with the same groups, as-of, versions, "
        "before, aggregates, bucket, condition and join, or start again without one"
    )
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as exc:
        raise error from exc
    digest, payload = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if digest != _digest(payload, query):
        raise error
    start, end, element, time, sequence, receive_time = json.loads(payload)
    return Cursor(Interval(start, end), element, time, sequence, receive_time)


def _digest(payload: bytes, query: Query) -> bytes:
    """Guard against accidents, not attackers: whoever may ask the query may also start it anywhere."""
    where = None if query.where is None else query.where.text
    shape = (
        query.groups,
        query.before,
        query.aggregates,
        query.bucket_ns,
        query.as_of,
        query.versions,
        where,
        query.join,
    )
    return hashlib.blake2b(payload + repr(shape).encode(), digest_size=_DIGEST_BYTES).digest()
