"""What a write does: once, whole or not at all, and what it says of each sample."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from archiver.model import SampleBatch
from archiver.ports import Backend, Position, WriteReceipt
from archiver.testing.backend_suite.base import BackendSuite, batch, exact, floats, read, sample
from archiver.testing.strategies import PAYLOAD_NAN

HOUR = 3_600_000_000_000
DAYS = 24 * HOUR


class Stop(Exception):  # noqa: N818 - not an error of the archive: what a caller's own code may raise
    """Raised by a test in `before_commit`."""


def mask(receipt: WriteReceipt, group: str = "g1") -> list[bool]:
    """Return which samples a receipt calls duplicates."""
    return [bool(flag) for flag in receipt.duplicate[group]]


class PositionContract(BackendSuite):
    """The position is stored with the data, and makes a repeated write harmless."""

    def test_none_at_first(self, backend: Backend) -> None:
        """An unknown stream has no position."""
        assert backend.position("journal") is None

    def test_stored_with_the_samples(self, backend: Backend) -> None:
        """The receipt and the backend say the same."""
        receipt = backend.write({"g1": batch(sample(1))}, Position("journal", 4))
        assert receipt.position == Position("journal", 4) == backend.position("journal")
        assert not receipt.repeated
        assert mask(receipt) == [False]

    def test_the_same_position_again_writes_nothing(self, backend: Backend) -> None:
        """Not even other samples: what lies at a position of a journal never changes."""
        backend.write({"g1": batch(sample(1))}, Position("journal", 4))
        for offset in (4, 3, 0):
            receipt = backend.write({"g1": batch(sample(2))}, Position("journal", offset))
            assert receipt.repeated
            assert receipt.position == Position("journal", 4)
        assert read(backend, "a") == exact([sample(1)])
        assert backend.position("journal") == Position("journal", 4)

    def test_before_commit_is_not_called_for_a_repeated_write(self, backend: Backend) -> None:
        """There is no commit: what the caller counts was counted the first time."""
        backend.write({"g1": batch(sample(1))}, Position("journal", 4))
        seen: list[WriteReceipt] = []
        backend.write({"g1": batch(sample(1))}, Position("journal", 4), seen.append)
        assert seen == []

    def test_several_streams(self, backend: Backend) -> None:
        """Each has its own offset; names of streams are as hostile as any."""
        streams = ["journal", "Journal", 'it\'s/a "stream"; --', "🌡️"]
        for offset, stream in enumerate(streams):
            backend.write({"g1": batch(sample(offset))}, Position(stream, offset))
        backend.write({"g1": batch(sample(99))}, Position("journal", 2**62))
        assert [backend.position(stream) for stream in streams] == [
            Position(stream, 2**62 if offset == 0 else offset) for offset, stream in enumerate(streams)
        ]
        assert len(read(backend)) == 5

    @pytest.mark.parametrize("parts", [{}, {"g1": SampleBatch.empty()}], ids=["no parts", "empty part"])
    def test_position_only(self, backend: Backend, parts: dict[str, SampleBatch]) -> None:
        """Entries of which nothing is stored here move the position all the same."""
        seen: list[WriteReceipt] = []
        receipt = backend.write(parts, Position("journal", 7), seen.append)
        assert (receipt.position, receipt.repeated, receipt.duplicates) == (Position("journal", 7), False, 0)
        assert backend.position("journal") == Position("journal", 7)
        assert len(seen) == 1
        assert backend.write({"g1": batch(sample(1))}, Position("journal", 7)).repeated
        assert backend.elements() == []
        assert backend.coverage() == []

    def test_no_position(self, backend: Backend) -> None:
        """A back-fill stores samples and leaves every position alone."""
        backend.write({"g1": batch(sample(1))}, Position("journal", 4))
        receipt = backend.write({"g1": batch(sample(2))})
        assert not receipt.repeated
        assert backend.position("journal") == Position("journal", 4)
        assert len(read(backend)) == 2


class DuplicateContract(BackendSuite):
    """A sample that is known already is not stored again, and the receipt says so."""

    def test_the_same_batch(self, backend: Backend) -> None:
        """Everything in it is known, whatever its value."""
        rows = [sample(1, math.nan), sample(2, PAYLOAD_NAN), sample(3, -0.0), sample(4, None), sample(5, math.inf)]
        assert mask(backend.write({"g1": batch(*rows)}, Position("journal", 1))) == [False] * 5
        again = batch(*(row._replace(receive_time=2) for row in rows))
        assert mask(backend.write({"g1": again}, Position("journal", 2))) == [True] * 5
        assert read(backend, versions=True) == exact(rows)
        assert backend.position("journal") == Position("journal", 2)

    def test_overlapping(self, backend: Backend) -> None:
        """The known part is skipped, the new part stored."""
        backend.write({"g1": batch(*(sample(i) for i in range(10)))})
        receipt = backend.write({"g1": batch(*(sample(i, received=2) for i in range(5, 15)))})
        assert mask(receipt) == [True] * 5 + [False] * 5
        assert [row.source_time for row in read(backend, versions=True)] == list(range(15))

    def test_reordered_and_split_differently(self, backend: Backend) -> None:
        """A resend need not look like the first send."""
        rows = [sample(i // 3, float(i), element="abc"[i % 3]) for i in range(30)]
        for part in (rows[:7], rows[7:]):
            backend.write({"g1": batch(*part)})
        order = np.random.default_rng(5).permutation(30)
        resent = [rows[i]._replace(receive_time=9) for i in order]
        for part in (resent[:11], resent[11:12], resent[12:]):
            assert all(mask(backend.write({"g1": batch(*part)})))
        assert read(backend, versions=True) == exact(rows)

    def test_the_mask_is_in_the_order_given(self, backend: Backend) -> None:
        """However the backend sorts for itself."""
        backend.write({"g1": batch(sample(5, element="b"), sample(2, element="a"))})
        rows = [sample(9, element="b"), sample(2, element="a"), sample(1, element="a"), sample(5, element="b")]
        assert mask(backend.write({"g1": batch(*rows)})) == [False, True, False, True]

    def test_within_one_batch(self, backend: Backend) -> None:
        """The first is stored, the others are duplicates."""
        rows = [sample(1), sample(2), sample(1), sample(1), sample(2, 7.0, sequence=1)]
        assert mask(backend.write({"g1": batch(*rows)})) == [False, False, True, True, False]
        assert read(backend, versions=True) == exact([rows[0], rows[1], rows[4]])

    def test_a_sequence_is_part_of_the_identity(self, backend: Backend) -> None:
        """Equal values at one instant, numbered by the source, are two samples."""
        backend.write({"g1": batch(sample(1, sequence=0), sample(1, sequence=1))})
        assert mask(backend.write({"g1": batch(sample(1, sequence=2), sample(1, sequence=1))})) == [False, True]
        assert [row.sequence for row in read(backend)] == [0, 1, 2]

    def test_an_old_version_again(self, backend: Backend) -> None:
        """A resend that repeats a version which was corrected since changes nothing."""
        backend.write({"g1": batch(sample(1, 1.0, received=1))})
        backend.write({"g1": batch(sample(1, 2.0, received=2))})
        assert mask(backend.write({"g1": batch(sample(1, 1.0, received=3))})) == [True]
        assert floats(read(backend)) == [2.0]

    def test_groups_know_their_own(self, backend: Backend) -> None:
        """What one group has is no duplicate in another; the receipt counts each."""
        backend.write({"g1": batch(sample(1))})
        receipt = backend.write({"g1": batch(sample(1)), "g2": batch(sample(1), sample(2))})
        assert (mask(receipt, "g1"), mask(receipt, "g2")) == ([True], [False, False])
        assert receipt.duplicates == 1

    def test_late_duplicates_far_apart(self, backend: Backend) -> None:
        """Samples of a year, a few of it resent at once."""
        rows = [sample(day * DAYS, float(day)) for day in range(0, 360, 9)]
        for start in range(0, 40, 10):
            backend.write({"g1": batch(*rows[start : start + 10])})
        late = [sample(day * DAYS + 1) for day in range(0, 360, 60)]
        receipt = backend.write({"g1": batch(*rows[::10], *late)})
        assert mask(receipt) == [True] * 4 + [False] * 6
        assert read(backend, versions=True) == exact([*rows, *late])


class CommitContract(BackendSuite):
    """All or nothing, and what `before_commit` is for."""

    def test_before_commit_is_called_once_with_the_outcome(self, backend: Backend) -> None:
        """It sees what the caller gets."""
        backend.write({"g1": batch(sample(1))})
        seen: list[WriteReceipt] = []
        receipt = backend.write({"g1": batch(sample(2), sample(1))}, Position("journal", 1), seen.append)
        assert len(seen) == 1
        assert mask(seen[0]) == mask(receipt) == [False, True]
        assert (seen[0].position, seen[0].repeated) == (Position("journal", 1), False)

    def test_its_exception_rolls_everything_back(self, backend: Backend) -> None:
        """Samples of every group and the position; the exception arrives as it was raised."""

        def stop(_: WriteReceipt) -> None:
            raise Stop

        backend.write({"g1": batch(sample(1))}, Position("journal", 1))
        parts = {"g1": batch(sample(1, 5.0, received=2), sample(2)), "g2": batch(sample(3, element="new"))}
        for _ in range(2):
            with pytest.raises(Stop):
                backend.write(parts, Position("journal", 2), stop)
            assert read(backend, "a", "new", versions=True) == exact([sample(1)])
            assert backend.position("journal") == Position("journal", 1)
            assert backend.elements() == ["a"]
            assert [c.group for c in backend.coverage()] == ["g1"]
        receipt = backend.write(parts, Position("journal", 2))
        assert (mask(receipt), mask(receipt, "g2")) == ([False, False], [False])
        assert len(read(backend, versions=True)) == 4

    def test_an_unconfigured_group(self, backend: Backend) -> None:
        """A group that was taken out of the configuration may still have entries in the journal."""
        backend.write({"gone": batch(sample(1))}, Position("journal", 1))
        assert read(backend, groups=["gone"]) == exact([sample(1)])

    def test_an_empty_batch_stores_nothing(self, backend: Backend) -> None:
        """And says so."""
        receipt = backend.write({"g1": SampleBatch.empty()})
        assert receipt.duplicates == 0
        assert not receipt.repeated
        assert backend.elements() == []

    def test_the_batch_is_left_alone(self, backend: Backend) -> None:
        """Batches are immutable: the caller's columns are as before."""
        given = batch(sample(3, element="b"), sample(1, element="a"), sample(1, element="a"))
        before = given.to_pylist()
        backend.write({"g1": given, "g2": given})
        assert given.to_pylist() == before

    def test_many_small_writes(self, backend: Backend) -> None:
        """One sample each, to and fro in time; all are there, once."""
        order = np.random.default_rng(11).permutation(30).tolist()
        for offset, number in enumerate(order):
            backend.write({"g1": batch(sample(number * HOUR, float(number)))}, Position("journal", offset))
        assert floats(read(backend)) == [float(i) for i in range(30)]
        assert Counter(row.source_time for row in read(backend, versions=True)).most_common(1)[0][1] == 1
