"""What expressions are evaluated on: for each name, what it holds at each row, as columns.

A row is an instant at which a rule looks at its inputs. All columns have a value for each row; none is copied unless an
expression asks for what it does not hold. Columns are not to be changed once they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.model.batch import Int32s, Int64s, Mask
from archiver.model.kind import VALUE_KINDS
from archiver.model.partials import native
from archiver.query.comparison import good

Floats = NDArray[np.float64]
_INTEGERS = (Kind.INT, Kind.UINT, Kind.ENUM, Kind.BOOL)
_NUMBERS = (Kind.FLOAT, *_INTEGERS)


@dataclass(frozen=True)
class Texts:
    """A column of texts, each of them held once: a test looks at every word, not at every row.

    Parameters
    ----------
    codes : ndarray of int32
        Place of each row's text in `words`; -1 for none.
    words : tuple of str
        No word twice.
    """

    codes: Int32s
    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Texts | Sequence[str | None] | NDArray[np.object_] | pa.Array) -> Texts:
        """Return texts as such a column; None for no text.

        Examples
        --------
        >>> Texts.of(["OPEN", None, "SHUT", "OPEN"])
        Texts(codes=array([ 0, -1,  1,  0], dtype=int32), words=('OPEN', 'SHUT'))
        """
        if isinstance(texts, Texts):
            return texts
        array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.utf8())
        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        codes = array.indices.cast(pa.int32())
        codes = codes.fill_null(-1) if codes.null_count else codes
        return cls(codes.to_numpy(zero_copy_only=False), tuple(array.dictionary.to_pylist()))

    def where(self, test: Callable[[str], bool]) -> Mask:
        """Return where the text passes a test; where there is none, it does not."""
        table = np.zeros(len(self.words) + 1, bool)
        table[:-1] = [test(word) for word in self.words]
        found: Mask = table[self.codes]
        return found

    def equal(self, word: str) -> Mask:
        """Return where the text is this one."""
        found: Mask = self.codes == (self.words.index(word) if word in self.words else -2)
        return found


@dataclass(frozen=True)
class Held:
    """What a name holds at each row: a number, a text, or nothing that is known.

    Parameters
    ----------
    known : ndarray of bool
        Where there is a value that is good: elsewhere everything about it is unknown. Where it is true, the row has a
        number (not NaN) or a text.
    number : ndarray of float64, optional
        NaN where a known row has a text; whatever where the row is not known. None when there is no number at all.
    text : array of object or Arrow, or Texts, optional
        None where the row has none; None when there is no text at all.
    integer : ndarray of int64, optional
        The same numbers exactly, where floats may have rounded them.
    is_integer : ndarray of bool, optional
        Where `integer` counts; None for everywhere.
    """

    known: Mask
    number: Floats | None = None
    text: Texts | Sequence[str | None] | NDArray[np.object_] | pa.Array | None = None
    integer: Int64s | None = None
    is_integer: Mask | None = None

    @classmethod
    def of(cls, batch: SampleBatch) -> Held:
        """Return what each sample of a batch holds; an array, and what is not good, is not known."""
        number = integer = is_integer = text = None
        for kind in [kind for kind in _NUMBERS if kind in batch.kinds]:
            values = native(batch.values(kind))
            here = None if len(batch.kinds) == 1 and not batch.values(kind).null_count else batch.kind_codes == kind
            number = _merged(number, values.astype(np.float64, copy=False), here, np.nan)
            if kind in _INTEGERS:
                fits = here if kind is not Kind.UINT else _fitting(values, here)
                integer = _merged(integer, values.astype(np.int64), here, 0)
                is_integer = fits if is_integer is None or fits is None else is_integer | fits
        if Kind.TEXT in batch.kinds:
            text = batch.values(Kind.TEXT)
        known = good(batch)
        for kind in VALUE_KINDS:
            if kind in batch.kinds and kind not in (*_NUMBERS, Kind.TEXT):
                known &= batch.kind_codes != kind
        return cls(known, number, text, integer, is_integer)

    @classmethod
    def nothing(cls, count: int) -> Held:
        """Return that nothing is known in any of `count` rows."""
        return cls(np.zeros(count, bool))

    def rows(self, start: int, end: int) -> Held:
        """Return a run of rows, without a copy."""
        texts = self.texts
        return Held(
            self.known[start:end],
            None if self.number is None else self.number[start:end],
            None if texts is None else Texts(texts.codes[start:end], texts.words),
            None if self.integer is None else self.integer[start:end],
            None if self.is_integer is None else self.is_integer[start:end],
        )

    @cached_property
    def unknown(self) -> Mask | None:
        """Where it is not known; None for nowhere."""
        return None if self.known.all() else ~self.known

    @cached_property
    def texts(self) -> Texts | None:
        """Its texts, each held once."""
        return None if self.text is None else Texts.of(self.text)


@dataclass(frozen=True)
class Input:
    """What there is of a name at each row.

    Parameters
    ----------
    value : Held
        Of its last sample.
    status : ndarray of uint64, optional
        Status bits of its last sample; None for 0.
    time : ndarray of int64, optional
        Source time of its last sample, ns; None for unknown.
    previous : Held, optional
        What it held before that; None for unknown.
    good : ndarray of bool, optional
        Whether its last sample is good; where its value is known when left out.
    seen : ndarray of bool, optional
        Where there is a sample at all; everywhere when left out.
    is_open : bool
        Its sample is yet to be chosen: all about it is unknown, even whether it is good, or has a value.
    """

    value: Held
    status: NDArray[np.uint64] | None = None
    time: Int64s | None = None
    previous: Held | None = None
    good: Mask | None = None
    seen: Mask | None = None
    is_open: bool = False

    @classmethod
    def of(cls, batch: SampleBatch, previous: Held | None = None) -> Input:
        """Return each sample of a batch as a row."""
        value = Held.of(batch)
        return cls(value, batch.status, batch.source_time, previous, good(batch))

    @classmethod
    def nothing(cls, count: int) -> Input:
        """Return that there was no sample, in `count` rows."""
        return cls(Held.nothing(count), seen=np.zeros(count, bool))

    @classmethod
    def open(cls, count: int) -> Input:
        """Return that its sample is yet to be chosen, in `count` rows."""
        return cls(Held.nothing(count), seen=np.zeros(count, bool), is_open=True)

    def rows(self, start: int, end: int) -> Input:
        """Return a run of rows, without a copy."""
        return Input(
            self.value.rows(start, end),
            None if self.status is None else self.status[start:end],
            None if self.time is None else self.time[start:end],
            None if self.previous is None else self.previous.rows(start, end),
            None if self.good is None else self.good[start:end],
            None if self.seen is None else self.seen[start:end],
            self.is_open,
        )

    @cached_property
    def unseen(self) -> Mask | None:
        """Where there is no sample; None for nowhere."""
        return None if self.seen is None or self.seen.all() else ~self.seen


@dataclass(frozen=True)
class Columns:
    """What the names of a rule hold, row by row.

    Parameters
    ----------
    count : int
        Number of rows.
    inputs : mapping of str to Input
        By name; ``value`` is the one element of a rule whose fields are names themselves.
    times : ndarray of int64, optional
        The instant of each row, ns: what an age is counted to. None for unknown.

    Examples
    --------
    >>> batch = SampleBatch.from_columns("T1", [0, 10], [79.5, 80.5])
    >>> Columns.of(batch).inputs["value"].value.number
    array([79.5, 80.5])
    """

    count: int
    inputs: Mapping[str, Input]
    times: Int64s | None = None

    @classmethod
    def of(cls, batch: SampleBatch, previous: Held | None = None) -> Columns:
        """Return the samples of a batch as the rows of a rule on one element, each at its own time."""
        return cls(len(batch), {"value": Input.of(batch, previous)}, batch.source_time)

    def rows(self, start: int, end: int, names: Iterable[str]) -> Columns:
        """Return a run of rows of some inputs, without a copy."""
        inputs = {name: self.inputs[name].rows(start, end) for name in names}
        return Columns(end - start, inputs, None if self.times is None else self.times[start:end])


def _merged(so_far: NDArray[Any] | None, values: NDArray[Any], here: Mask | None, empty: float) -> NDArray[Any]:
    """Return a column with these values where they count."""
    if here is None:
        return values
    return np.where(here, values, empty if so_far is None else so_far)


def _fitting(values: NDArray[Any], here: Mask | None) -> Mask | None:
    """Return where unsigned integers fit in signed ones; None for everywhere."""
    fits = values <= np.uint64(np.iinfo(np.int64).max)
    if here is not None:
        fits &= here
    return None if fits.all() else fits
