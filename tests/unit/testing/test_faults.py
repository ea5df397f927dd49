"""The wrappers do what they say, so that tests which use them prove something."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pytest

from archiver.model import PermanentError, SampleBatch, TransientError
from archiver.model.time import ALWAYS
from archiver.ports import Backend, Position, WriteReceipt
from archiver.testing.backend_suite.base import model
from archiver.testing.faults import Faults, FaultyBackend, SlowBackend, WriteFault
from archiver.testing.patience import SOON_S

BATCH = SampleBatch.from_columns("a", [1, 2], [1.0, -1.0])
POSITION = Position("journal", 1)


@pytest.mark.parametrize(
    ("fault", "stored", "asked"),
    [
        (WriteFault.REFUSED, False, 0),
        (WriteFault.ROLLED_BACK, False, 1),
        (WriteFault.LOST_REPLY, True, 1),
    ],
)
def test_fates_of_a_write(fault: WriteFault, stored: bool, asked: int) -> None:
    inner = model()
    backend = FaultyBackend(inner, Faults(writes=deque([fault])))
    seen: list[WriteReceipt] = []
    with pytest.raises(TransientError):
        backend.write({"g1": BATCH}, POSITION, seen.append)
    assert (inner.position("journal") is not None, bool(inner.elements()), len(seen)) == (stored, stored, asked)
    assert backend.write({"g1": BATCH}, POSITION).repeated == stored


def test_poison_refuses_the_whole_write() -> None:
    inner = model()
    backend = FaultyBackend(inner, Faults(poison=lambda part: part.values(part.kinds[0]).to_numpy() < 0))
    with pytest.raises(PermanentError):
        backend.write({"g1": BATCH})
    assert inner.elements() == []
    backend.write({"g1": BATCH.filter(np.array([True, False]))})
    assert inner.coverage()[0].rows == 1


def test_a_slow_backend_waits_until_it_is_let_go() -> None:
    gate = threading.Event()
    backend = SlowBackend(model(), gate.wait)
    writing = threading.Thread(target=backend.write, args=({"g1": BATCH},))
    writing.start()
    assert backend.waiting.wait(SOON_S)
    assert backend.inner.elements() == []
    gate.set()
    writing.join()
    assert sum(part.num_rows for part in backend.read(["a"], ALWAYS)) == 2


@pytest.mark.parametrize("wrapper", [FaultyBackend(model()), SlowBackend(model(), bool)], ids=["faulty", "slow"])
def test_wrappers_are_backends(wrapper: Backend) -> None:
    assert isinstance(wrapper, Backend)
    wrapper.open()
    wrapper.write({"g1": BATCH}, POSITION)
    assert wrapper.elements() == ["a"]
    assert wrapper.position("journal") == POSITION
    assert wrapper.last_before(["a"], 9).source_time.tolist() == [2]
    assert [c.rows for c in wrapper.coverage()] == [2]
    wrapper.close()
