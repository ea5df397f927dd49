"""Journal entries as Kafka records, without a broker."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from archiver.journal.kafka.records import Mark, account_of, entry_of, headers_of, mark_of
from archiver.journal.payload import encode
from archiver.model import PermanentError, SampleBatch
from archiver.testing.rows import rows_of


class Message:
    """What a consumer of Kafka gets, as far as it is looked at."""

    def __init__(self, payload: bytes, headers: Any) -> None:
        self._payload, self._headers = payload, headers

    def value(self) -> bytes:
        return self._payload

    def headers(self) -> Any:
        return self._headers

    def topic(self) -> str:
        return "t"

    def offset(self) -> int:
        return 7


BATCH = SampleBatch.from_columns("a", [1, 2], [0.5, None], receive_time=9)
FIRST = Mark(3, 100, 50, 60, 1000, 9000)


def test_an_entry_comes_back_with_what_was_counted_up_to_it() -> None:
    payload = bytes(encode(BATCH))
    mark = FIRST.then(2, len(payload) + 3, 55, 55)
    message = Message(payload, headers_of(mark, b"acc"))
    assert mark_of(message) == mark
    assert (mark.newest, mark.rows_through, mark.bytes_through) == (60, 1002, 9000 + len(payload) + 3)
    assert (account_of(message), entry_of(message).offset) == (b"acc", 7)
    assert rows_of(entry_of(message).batch) == rows_of(BATCH)


def test_no_account_is_no_header() -> None:
    headers = headers_of(FIRST, b"")
    assert len(headers) == 1
    assert account_of(Message(b"", headers)) == b""


@pytest.mark.parametrize("headers", [None, [("other", b"x")]], ids=["none", "other"])
def test_a_record_of_something_else_is_an_entry_without_samples_and_is_reported(
    headers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    message = Message(b"hello", headers)
    with caplog.at_level(logging.ERROR):
        assert mark_of(message) == Mark(0, 0, 0, 0, 0, 0)
    assert "topic t: the record at offset 7 is no journal entry" in caplog.text
    assert entry_of(message).batch.num_rows == 0


def test_a_newer_format_is_refused() -> None:
    (name, packed), *_ = headers_of(FIRST, b"")
    with pytest.raises(PermanentError, match="upgrade"):
        mark_of(Message(b"", [(name, bytes([99]) + packed[1:])]))
