"""The contract suite of backends that only pass samples on: what a consumer gets, and that it gets nothing twice.

A distribution with such a backend subclasses `PassingContract` with one fixture, `harness`: a `PassingHarness`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Interval, SampleBatch, UnsupportedError
from archiver.ports import Backend, Position, WriteReceipt
from archiver.testing.backend_suite.base import batch, per_example, sample
from archiver.testing.backend_suite.writes import Stop, mask
from archiver.testing.faults import FaultyBackend, WriteFault
from archiver.testing.harness import BackendHarness
from archiver.testing.rows import Row, rows_of
from archiver.testing.strategies import batches


class PassingHarness(BackendHarness, Protocol):
    """What the suite needs of a kind of backend that passes samples on."""

    def received(self, backend: Backend) -> list[Row]:
        """Return what a consumer that was there from the beginning has got until now, in its order."""


def by_element(rows: list[Row]) -> dict[str, list[Row]]:
    """Return rows apart for each element, in their order: that of an element is what is promised."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.element, []).append(row)
    return found


class PassingContract:
    """All of it; a subclass overrides `harness`."""

    @pytest.fixture
    def harness(self) -> Iterator[PassingHarness]:
        """Yield the harness of the kind of backend under test, and close it."""
        raise NotImplementedError("give the contract suite a `harness` fixture: see PassingHarness")

    @pytest.fixture
    def backend(self, harness: PassingHarness) -> Backend:
        """Return a new, open backend in an empty place."""
        return harness.create()

    def test_it_says_that_it_cannot_be_asked(self, backend: Backend) -> None:
        """It has the verbs, and none of them answers as if nothing were there to be had."""
        assert isinstance(backend, Backend)
        assert not backend.limits.readable
        backend.write({"g1": batch(sample(1))}, Position("journal", 1))
        with pytest.raises(UnsupportedError, match="only passes samples on"):
            list(backend.read(["a"], Interval(0, 9)))
        with pytest.raises(UnsupportedError, match="only passes samples on"):
            backend.last_before(["a"], 9)
        assert (backend.elements(), backend.coverage()) == ([], [])

    @per_example
    @given(st.lists(batches(min_rows=1), min_size=1, max_size=3))
    def test_anything(self, harness: PassingHarness, given_batches: list[SampleBatch]) -> None:
        """Random samples of every kind come out bit by bit, those of an element in their order, each write once."""
        backend = harness.create()
        expected: list[Row] = []
        for offset, one in enumerate(given_batches):
            receipt = backend.write({"g1": one}, Position("journal", offset))
            expected += [row for row, again in zip(rows_of(one), mask(receipt), strict=True) if not again]
        assert by_element(harness.received(backend)) == by_element(expected)
        harness.discard(backend)

    def test_the_position_makes_a_repeated_write_harmless(self, harness: PassingHarness) -> None:
        """Each stream has its own; a position at or before the known one sends nothing."""
        backend = harness.create()
        assert backend.position("journal") is None
        receipt = backend.write({"g1": batch(sample(1))}, Position("journal", 4))
        assert receipt.position == Position("journal", 4) == backend.position("journal")
        for offset in (4, 3, 0):
            again = backend.write({"g1": batch(sample(2))}, Position("journal", offset))
            assert (again.repeated, again.position) == (True, Position("journal", 4))
        assert not backend.write({"g1": batch(sample(3))}, Position('it\'s "another" 🌡️', 1)).repeated
        backend.write({}, Position("journal", 5))
        assert backend.position("journal") == Position("journal", 5)
        assert [row.source_time for row in harness.received(backend)] == [1, 3]

    def test_positions_outlast_a_restart(self, harness: PassingHarness) -> None:
        """And so does what was sent before."""
        backend = harness.create()
        backend.write({"g1": batch(sample(1))}, Position("journal", 4))
        backend = harness.reopen(backend)
        assert backend.position("journal") == Position("journal", 4)
        assert backend.write({"g1": batch(sample(1))}, Position("journal", 4)).repeated
        backend.write({"g1": batch(sample(2))}, Position("journal", 5))
        assert [row.source_time for row in harness.received(backend)] == [1, 2]

    def test_close_and_open(self, harness: PassingHarness) -> None:
        """The same instance, several times; closing twice is harmless."""
        backend = harness.create()
        for number in range(3):
            backend.write({"g1": batch(sample(number, element="abc"[number]))}, Position("journal", number))
            backend.close()
            backend.close()
            backend.open()
        assert sorted(row.source_time for row in harness.received(backend)) == [0, 1, 2]

    def test_what_a_batch_holds_twice_is_sent_once(self, harness: PassingHarness) -> None:
        """And the receipt says so; corrections are sent."""
        backend = harness.create()
        receipt = backend.write({"g1": batch(sample(1), sample(1), sample(1, 2.0))}, Position("journal", 1))
        assert mask(receipt) == [False, True, False]
        assert len(harness.received(backend)) == 2

    def test_before_commit(self, harness: PassingHarness) -> None:
        """It is called once, and when it raises nobody gets anything."""
        backend = harness.create()
        seen: list[WriteReceipt] = []

        def stop(receipt: WriteReceipt) -> None:
            raise Stop

        with pytest.raises(Stop):
            backend.write({"g1": batch(sample(1))}, Position("journal", 1), stop)
        assert backend.position("journal") is None
        backend.write({"g1": batch(sample(2))}, Position("journal", 1), seen.append)
        backend.write({"g1": batch(sample(3))}, Position("journal", 1), seen.append)
        assert [receipt.position for receipt in seen] == [Position("journal", 1)]
        assert [row.source_time for row in harness.received(backend)] == [2]

    @pytest.mark.parametrize("fault", list(WriteFault), ids=lambda fault: fault.name.lower())
    @pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
    def test_a_repeated_write_is_sent_once(self, harness: PassingHarness, fault: WriteFault, restart: bool) -> None:
        """Whenever the connection was lost, and whether or not everything was restarted since."""
        backend = harness.create()
        parts = {"g1": batch(sample(1), sample(2), sample(1, element="b"))}
        faulty = FaultyBackend(backend)
        faulty.faults.writes.append(fault)
        with pytest.raises(Exception, match="as the test asked for"):
            faulty.write(parts, Position("journal", 1))
        if restart:
            backend = harness.reopen(backend)
        assert backend.write(parts, Position("journal", 1)).repeated == (fault is WriteFault.LOST_REPLY)
        assert by_element(harness.received(backend)) == by_element(rows_of(parts["g1"]))
