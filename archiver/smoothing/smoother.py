"""Decides, batch by batch, which samples of one archive group are stored in one backend."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import SampleBatch, Smoothing, SmoothingKind
from archiver.smoothing.compiling import run
from archiver.smoothing.content import rows_of
from archiver.smoothing.kernels import HELD, LATE, NOT_HELD, STORED, Rows, door, step
from archiver.smoothing.rules import rule_of
from archiver.smoothing.state import Slots, State, pick, put

_NO_RULES = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class Smoothed:
    """What became of samples.

    Parameters
    ----------
    stored : SampleBatch
        To be written, in order of arrival; may begin with samples of earlier batches that were held.
    discarded : SampleBatch
        Not to be written; may begin with samples of earlier batches as well.
    rule : ndarray of uint8, shape (discarded.num_rows,)
        Which rule discarded each, an index into `RULES`.
    late : ndarray of bool, shape (stored.num_rows,)
        Which of the stored came after a newer sample of their element, and were not judged (see `judge_late`).
    """

    stored: SampleBatch
    discarded: SampleBatch
    rule: NDArray[np.uint8]
    late: NDArray[np.bool_]


class Smoother:
    """Applies a smoothing to the samples of one archive group for one backend.

    The result does not depend on how samples are cut into batches. Not for use by several threads at once.
    `docs/explanation/smoothing.md` says what each kind stores, and proves the error bound of the swinging door.

    Parameters
    ----------
    smoothing : Smoothing

    Examples
    --------
    >>> smoother = Smoother(Smoothing(SmoothingKind.VALUE, tolerance=0.5))
    >>> result = smoother.apply(SampleBatch.from_columns("T1", [0, 1, 2], [20.0, 20.4, 20.6]))
    >>> result.stored.source_time.tolist(), result.discarded.source_time.tolist()
    ([0, 2], [1])
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self.smoothing = smoothing
        self._rule = rule_of(smoothing)
        self._state = State()
        self._made_by = _label(smoothing)
        self._last_names: tuple[pa.Array, Slots, NDArray[np.int32]] | None = None

    def apply(self, batch: SampleBatch) -> Smoothed:
        """Decide on the samples of a batch, in order of arrival, and advance the state.

        Samples that were held under another smoothing (see `load`) come out as stored, first.
        """
        released = self._release()
        if self.smoothing.kind is SmoothingKind.NONE or not batch.num_rows:
            return _all_stored(SampleBatch.concat([released, batch]))
        slot, slots = self._slots_of(batch)
        rows = rows_of(batch, slot)
        if self.smoothing.kind is SmoothingKind.SWINGING_DOOR:
            result = self._swing(batch, rows, slots)
        else:
            result = _split(batch, self._step(rows, slots))
        return _joined(_all_stored(released), result) if released.num_rows else result

    def held(self) -> SampleBatch:
        """Return the samples that are neither stored nor discarded yet, as they would be stored now."""
        return self._state.held_samples(self._state.holding())

    def copy(self, elements: Collection[str] | None = None) -> Smoother:
        """Return a smoother with the same state (that of some elements, if named) that shares nothing with this one."""
        if elements is not None:
            return self._with(self._state.copy_of(elements), self._made_by)
        other = self._with(self._state.copy(), self._made_by)
        other._last_names = self._last_names
        return other

    def dump(self) -> bytes:
        """Return the state as an Arrow IPC stream; equal states give equal bytes."""
        return self._state.dump(self._made_by)

    @classmethod
    def load(cls, smoothing: Smoothing, state: bytes) -> Smoother:
        """Return a smoother that goes on from what `dump` gave.

        The state may come from another smoothing. What that one held is not judged by the new one: it is stored, by
        the next `apply`.

        Raises
        ------
        InvalidInputError
            The bytes are no state, or one of another version.
        """
        return cls(smoothing)._with(*State.load(state))

    def seed(self, archived: SampleBatch) -> None:
        """Take the newest of these samples of each element as its last archived one, in place of what is known of it.

        For a new group, or after a state was lost; elements that are not in there keep their state.
        """
        if self.smoothing.kind is SmoothingKind.NONE or not archived.num_rows:
            return
        order = np.lexsort((archived.receive_time, archived.sequence, archived.source_time, archived.codes))
        codes = archived.codes[order]
        newest = archived.take(order[np.append(codes[1:] != codes[:-1], True)])
        slot, slots = self._slots_of(newest)
        self._state.forget(slots)
        self._step(rows_of(newest, slot), slots)

    # -- parts ----------------------------------------------------------------------------------------

    def _step(self, rows: Rows, slots: Slots) -> NDArray[np.uint8]:
        archived = pick(self._state.archived, slots)
        fate = np.full(len(rows.slot), STORED, np.uint8)
        run(step, (rows, self._rule), (archived,), fate)
        put(self._state.archived, slots, archived)
        return fate

    def _swing(self, batch: SampleBatch, rows: Rows, slots: Slots) -> Smoothed:
        count = batch.num_rows
        archived, held = pick(self._state.archived, slots), pick(self._state.held, slots)
        waiting = np.flatnonzero(held.row != NOT_HELD)
        earlier = self._state.held_samples(slots[waiting])
        fate = np.full(count + len(slots), STORED, np.uint8)
        fate[count + waiting] = HELD
        held.row[waiting] = count + waiting
        run(door, (rows, self._rule), (archived, held), fate)
        fresh = np.flatnonzero((held.row != NOT_HELD) & (held.row < count))
        held.sequence[fresh] = batch.sequence[held.row[fresh]]
        held.receive_time[fresh] = batch.receive_time[held.row[fresh]]
        held.row[held.row != NOT_HELD] = 0
        put(self._state.archived, slots, archived)
        put(self._state.held, slots, held)
        return _joined(_split(earlier, fate[count + waiting]), _split(batch, fate[:count]))

    def _release(self) -> SampleBatch:
        """Take what another smoothing held as archived, and return it."""
        if self._made_by == _label(self.smoothing):
            return SampleBatch.empty()
        self._made_by = _label(self.smoothing)
        slots = self._state.holding()
        released = self._state.held_samples(slots)
        self._state.archive_held(slots)
        return released

    def _slots_of(self, batch: SampleBatch) -> tuple[NDArray[np.int32], Slots]:
        """Number the elements of a batch: a number per sample, and the slot of each number."""
        dictionary = batch.column("element").dictionary
        present = np.zeros(len(dictionary), bool)
        present[batch.codes] = True
        used = np.flatnonzero(present)
        names = dictionary if len(used) == len(dictionary) else dictionary.take(pa.array(used))
        if self._last_names is None or not names.equals(self._last_names[0]):
            distinct, inverse = np.unique(self._state.slots(names.to_pylist()), return_inverse=True)
            self._last_names = names, distinct, inverse.astype(np.int32)
        _, slots, numbers = self._last_names
        table = np.zeros(len(dictionary), np.int32)
        table[used] = numbers
        return table[batch.codes], slots

    def _with(self, state: State, made_by: bytes) -> Smoother:
        other = Smoother(self.smoothing)
        other._state, other._made_by = state, made_by
        return other


def _label(smoothing: Smoothing) -> bytes:
    return repr(smoothing).encode()


def _all_stored(batch: SampleBatch) -> Smoothed:
    return Smoothed(batch, SampleBatch.empty(), _NO_RULES, np.zeros(batch.num_rows, bool))


def _split(batch: SampleBatch, fate: NDArray[np.uint8]) -> Smoothed:
    """Return the samples by their fate; what is held is in neither."""
    late = fate == LATE
    stored = (fate == STORED) | late
    discarded = ~stored & (fate != HELD)
    return Smoothed(batch.filter(stored), batch.filter(discarded), fate[discarded] - np.uint8(1), late[stored])


def _joined(first: Smoothed, second: Smoothed) -> Smoothed:
    return Smoothed(
        SampleBatch.concat([first.stored, second.stored]),
        SampleBatch.concat([first.discarded, second.discarded]),
        np.concatenate([first.rule, second.rule]),
        np.concatenate([first.late, second.late]),
    )
