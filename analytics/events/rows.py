"""The samples that one rule looks at, as columns: with the instance and the input that each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.model import status as bits
from archiver.model.partials import native

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Texts = NDArray[np.object_]

NEVER = np.iinfo(np.int64).max
"""A time that does not come, ns."""
BEFORE_ALL = np.iinfo(np.int64).min
"""A time before every sample, ns."""
_NUMBERS = (Kind.FLOAT, Kind.INT, Kind.UINT, Kind.BOOL, Kind.ENUM)


@dataclass(frozen=True)
class Values:
    """What the samples of a batch say.

    Parameters
    ----------
    number : ndarray of float64
        A number, truth or state as a float: beyond 2^53 the nearest one. NaN where there is none.
    text : ndarray of object, optional
        str, None where the value is no text; None when there is no text at all.
    good : ndarray of bool
        Has a value that is not NaN, and its status says neither bad, disconnected nor paused.
    status : ndarray of uint64
    """

    number: Floats
    text: Texts | None
    good: Mask
    status: NDArray[np.uint64]

    @classmethod
    def of(cls, batch: SampleBatch) -> Values:
        """Return what the samples of a batch say; the value of an array is unknown."""
        number = np.full(len(batch), np.nan)
        for kind in _NUMBERS:
            if kind in batch.kinds:
                values = batch.values(kind)
                if values.null_count == 0:
                    number = native(values).astype(np.float64, copy=False)
                else:
                    valid = values.is_valid().to_numpy(zero_copy_only=False)
                    number[valid] = native(values)[valid]
        sound, text = ~np.isnan(number), None
        if Kind.TEXT in batch.kinds:
            text = batch.values(Kind.TEXT).to_numpy(zero_copy_only=False)
            sound |= batch.values(Kind.TEXT).is_valid().to_numpy(zero_copy_only=False)
        if batch.status.any():
            sound &= ~(bits.is_bad(batch.status) | bits.is_gap(batch.status))
        return cls(number, text, sound, batch.status)


@dataclass(frozen=True)
class Rows:
    """Columns of equal length.

    Parameters
    ----------
    key : ndarray of int32
        Number of the instance.
    slot : ndarray of int32
        Number of the element in the instance.
    input : ndarray of int16
        Number of the input that the element feeds.
    time, received : ndarray of int64
        Source and receive time, ns.
    sequence : ndarray of int32
        Order among samples of equal element and time.
    number, text, good, status
        As in `Values`.
    whole : bool
        Whether all samples of an instance and instant come together: then what they say counts at their last one.
    """

    key: Int32s
    slot: Int32s
    input: NDArray[np.int16]
    time: Int64s
    received: Int64s
    sequence: Int32s
    number: Floats
    text: Texts | None
    good: Mask
    status: NDArray[np.uint64]
    whole: bool = False

    def __len__(self) -> int:
        return len(self.time)

    def take(self, places: Int64s | Mask | slice) -> Rows:
        """Return the rows at these places, in that order; or those where a mask is true."""
        return Rows(
            self.key[places],
            self.slot[places],
            self.input[places],
            self.time[places],
            self.received[places],
            self.sequence[places],
            self.number[places],
            None if self.text is None else self.text[places],
            self.good[places],
            self.status[places],
            self.whole,
        )

    def part(self, start: int, end: int) -> Rows:
        """Return the rows from one place to before another, without a copy."""
        return self.take(slice(start, end))

    def placed(self, places: Int64s) -> Rows:
        """Return the rows with other instances, slots and inputs: three columns of int64."""
        return Rows(
            places[:, 0].astype(np.int32),
            places[:, 1].astype(np.int32),
            places[:, 2].astype(np.int16),
            self.time,
            self.received,
            self.sequence,
            self.number,
            self.text,
            self.good,
            self.status,
            self.whole,
        )

    @staticmethod
    def concat(parts: Sequence[Rows]) -> Rows:
        """Return one after the other."""
        filled = [part for part in parts if len(part)]
        if len(filled) < 2:
            return filled[0] if filled else EMPTY
        names = [field.name for field in fields(Rows) if field.name not in ("text", "whole")]
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in filled]) for name in names}
        if any(part.text is not None for part in filled):
            columns["text"] = np.concatenate([textless(part) if part.text is None else part.text for part in filled])
        return Rows(**{"text": None, **columns})

    def starts(self) -> Int64s:
        """Return where each instance begins, rows being in order of their instance."""
        first = np.empty(len(self), bool)
        first[:1] = True
        np.not_equal(self.key[1:], self.key[:-1], out=first[1:])
        return first.nonzero()[0]


def textless(rows: Rows) -> Texts:
    """Return a column of texts in which there is none."""
    return np.full(len(rows), None, object)


EMPTY = Rows(
    key=np.empty(0, np.int32),
    slot=np.empty(0, np.int32),
    input=np.empty(0, np.int16),
    time=np.empty(0, np.int64),
    received=np.empty(0, np.int64),
    sequence=np.empty(0, np.int32),
    number=np.empty(0, np.float64),
    text=None,
    good=np.empty(0, bool),
    status=np.empty(0, np.uint64),
)


def grown(column: NDArray[Any], count: int, fill: Any) -> NDArray[Any]:
    """Return a column with at least `count` rows; new ones hold `fill`. The given one is never changed."""
    if len(column) >= count:
        return column
    return np.concatenate([column, np.full(count - len(column), fill, column.dtype)])
