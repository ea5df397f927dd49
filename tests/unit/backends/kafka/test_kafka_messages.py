"""Batches as messages of the samples topic, without a broker."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.backends.kafka.messages import Sharding, headers, received
from archiver.model import InvalidInputError, SampleBatch
from archiver.model.ipc import from_ipc
from archiver.testing.passing_contract import by_element
from archiver.testing.rows import rows_of
from archiver.testing.strategies import batches


@dataclass
class Message:
    """What a consumer of Kafka gets, as far as it is looked at."""

    payload: bytes
    named: list[tuple[str, bytes]] | None

    def value(self) -> bytes:
        return self.payload

    def headers(self) -> Any:
        return self.named

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 7


@given(batches(min_rows=1, max_rows=40), st.integers(1, 5))
def test_every_sample_is_in_the_partition_of_its_element_in_its_order(batch: SampleBatch, partitions: int) -> None:
    sent = list(Sharding(partitions).messages(batch))
    for message in sent:
        names = SampleBatch(from_ipc(message.value)).present()
        assert {zlib.crc32(name.encode()) % partitions for name in names} == {message.partition}
        assert message.key == str(message.partition).encode()
    got = [row for message in sent for row in rows_of(SampleBatch(from_ipc(message.value)))]
    assert by_element(got) == by_element(rows_of(batch))


def test_large_writes_are_split() -> None:
    names = [f"e{i % 20}" for i in range(4000)]
    batch = SampleBatch.from_columns(names, np.arange(4000), np.arange(4000.0))
    sent = list(Sharding(3, 10_000).messages(batch))
    assert max(len(message.value) for message in sent) < 15_000
    got = [row for message in sent for row in rows_of(SampleBatch(from_ipc(message.value)))]
    assert by_element(got) == by_element(rows_of(batch))


def test_names_without_a_sample_are_not_sent() -> None:
    whole = SampleBatch.from_columns([f"e{i}" for i in range(50_000)], np.arange(50_000), np.zeros(50_000))
    (message,) = Sharding(4).messages(whole.slice(17, 1))
    assert len(message.value) < 2_000


def test_received_says_group_and_samples() -> None:
    batch = SampleBatch.from_columns("a", [1], [2.0])
    (sent,) = Sharding(1).messages(batch)
    got = received(Message(sent.value, headers("all")))
    assert (got.group, rows_of(got.batch)) == ("all", rows_of(batch))


@pytest.mark.parametrize("named", [None, [], [("forebay.schema", b"99")]], ids=["none", "empty", "newer"])
def test_what_something_else_wrote_is_refused(named: list[tuple[str, bytes]] | None) -> None:
    with pytest.raises(InvalidInputError, match="t/2 at offset 7"):
        received(Message(b"{}", named))
