"""What the journal keeps of a batch is the batch."""

import numpy as np
import pytest
from hypothesis import given

from archiver.journal.payload import decode, encode
from archiver.model import SampleBatch
from archiver.testing.strategies import batches

ROWS = 1000


def samples(status=0, names=3):
    elements = [f"E{row % names}" for row in range(ROWS)]
    return SampleBatch.from_columns(elements, np.arange(ROWS), np.arange(ROWS) / 4, status=status, receive_time=7)


@given(batches())
def test_a_payload_gives_the_batch_back(batch):
    assert decode(encode(batch)) == batch


@pytest.mark.parametrize("odd", [0, 1, 500, 999])
def test_a_status_that_differs_in_few_samples_is_kept_exactly(odd):
    status = np.zeros(ROWS, np.uint64)
    status[odd] = 2**64 - 1
    batch = samples(status)
    assert decode(encode(batch)) == batch


def test_a_status_that_is_rarely_set_takes_hardly_any_room():
    status = np.zeros(ROWS, np.uint64)
    plain = len(encode(samples(status)))
    status[[3, 700]] = 32
    assert len(encode(samples(status))) < plain + 100


def test_more_elements_than_two_bytes_can_number():
    names = [f"E{index}" for index in range(2**15 + 2)]
    batch = SampleBatch.from_columns(names, np.arange(len(names)), np.zeros(len(names)))
    assert decode(encode(batch)) == batch
