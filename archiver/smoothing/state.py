"""What a smoother remembers of each element, in columns that grow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import InvalidInputError, Kind, SampleBatch
from archiver.model.ipc import to_ipc
from archiver.smoothing.content import number_of
from archiver.smoothing.kernels import NOT_HELD, Held, Reference

UNKNOWN = 255
"""Category of an element of which nothing has been archived."""

_VERSION = b"1"
_NOTHING_ARCHIVED = Reference(
    time=np.uint64(0),
    category=np.uint8(UNKNOWN),
    status=np.uint64(0),
    number=np.float64(0),
    high=np.uint64(0),
    low=np.uint64(0),
    seen_time=np.uint64(0),
    seen_sequence=np.int32(-(2**31)),
)
_NOTHING_HELD = Held(
    row=np.int64(NOT_HELD),
    time=np.uint64(0),
    sequence=np.int32(0),
    receive_time=np.int64(0),
    status=np.uint64(0),
    number=np.float64(0),
    high=np.uint64(0),
    lowest=np.float64(-math.inf),
    highest=np.float64(math.inf),
)
_Columns = TypeVar("_Columns", Reference, Held)
Slots = NDArray[np.int64]


class State:
    """The last archived sample and the held one of each element, by slot.

    Attributes
    ----------
    archived : Reference
    held : Held
        ``row`` is `NOT_HELD` or another number; no place is meant between batches.
    """

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self.archived = _filled(_NOTHING_ARCHIVED, 0)
        self.held = _filled(_NOTHING_HELD, 0)

    @property
    def names(self) -> list[str]:
        """Names of the elements, by slot."""
        return list(self._slots)

    def slots(self, names: Sequence[str]) -> Slots:
        """Return the slot of each name; a new one for an element that is new."""
        known = self._slots
        for name in names:
            if name not in known:
                known[name] = len(known)
        if len(known) > len(self.held.row):
            self._grow(max(2 * len(known), 64))
        return np.fromiter((known[name] for name in names), np.int64, len(names))

    def _grow(self, size: int) -> None:
        more = size - len(self.held.row)
        self.archived = _joined(self.archived, _filled(_NOTHING_ARCHIVED, more))
        self.held = _joined(self.held, _filled(_NOTHING_HELD, more))

    def forget(self, slots: Slots) -> None:
        """Take these elements as never seen."""
        put(self.archived, slots, _filled(_NOTHING_ARCHIVED, len(slots)))
        put(self.held, slots, _filled(_NOTHING_HELD, len(slots)))

    def copy(self) -> State:
        """Return the same, sharing nothing; every element keeps its slot."""
        state = State()
        state._slots = self._slots.copy()
        state.archived = Reference(*(column.copy() for column in self.archived))
        state.held = Held(*(column.copy() for column in self.held))
        return state

    def copy_of(self, names: Iterable[str]) -> State:
        """Return the same for those of some elements that are known, sharing nothing."""
        known = [name for name in dict.fromkeys(names) if name in self._slots]
        slots = np.fromiter((self._slots[name] for name in known), np.int64, len(known))
        state = State()
        state._slots = {name: slot for slot, name in enumerate(known)}
        state.archived, state.held = pick(self.archived, slots), pick(self.held, slots)
        return state

    def holding(self) -> Slots:
        """Return the slots that hold a sample."""
        return np.flatnonzero(self.held.row != NOT_HELD)

    def held_samples(self, slots: Slots) -> SampleBatch:
        """Return the held sample of each of these slots, which must hold one."""
        if not len(slots):
            return SampleBatch.empty()
        held, category = pick(self.held, slots), self.archived.category[slots]
        names = self.names
        return SampleBatch.from_columns(
            pa.array([names[slot] for slot in slots.tolist()], pa.utf8()),
            number_of(held.time),
            {
                Kind.FLOAT: pa.array(held.number, mask=category != Kind.FLOAT),
                Kind.INT: pa.array(number_of(held.high), mask=category != Kind.INT),
                Kind.UINT: pa.array(held.high, mask=category != Kind.UINT),
            },
            status=held.status,
            receive_time=held.receive_time,
            sequence=held.sequence,
        )

    def archive_held(self, slots: Slots) -> None:
        """Take the held samples of these slots as archived."""
        fields = ("time", "status", "number", "high")
        for name in fields:
            getattr(self.archived, name)[slots] = getattr(self.held, name)[slots]
        put(self.held, slots, _filled(_NOTHING_HELD, len(slots)))

    def dump(self, label: bytes) -> bytes:
        """Return everything as an Arrow IPC stream, sorted by element; `label` comes back from `load`."""
        names = self.names
        order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        columns: dict[str, Any] = {"element": pa.array([names[i] for i in order.tolist()], pa.utf8())}
        for group in (self.archived, self.held):
            columns |= {f"{type(group).__name__}.{name}": c[order] for name, c in group._asdict().items()}
        table = pa.table(columns).replace_schema_metadata({b"forebay.smoothing": _VERSION, b"label": label})
        return to_ipc(table, "lz4")

    @classmethod
    def load(cls, data: bytes) -> tuple[State, bytes]:
        """Return a state and its label from what `dump` gave.

        Raises
        ------
        InvalidInputError
            The bytes are something else, or of another version.
        """
        try:
            table = pa.ipc.open_stream(data).read_all()
            metadata = table.schema.metadata or {}
            if metadata.get(b"forebay.smoothing") != _VERSION:
                raise InvalidInputError(
                    f"not a smoothing state of version {_VERSION.decode()}; seed it from the backend"
                )
            state = cls()
            state._slots = {name: slot for slot, name in enumerate(table["element"].to_pylist())}
            state.archived = _read(_NOTHING_ARCHIVED, table)
            state.held = _read(_NOTHING_HELD, table)
        except (pa.ArrowException, KeyError) as exc:
            raise InvalidInputError(f"the smoothing state cannot be read: {exc}; seed it from the backend") from exc
        return state, metadata[b"label"]


def pick(columns: _Columns, slots: Slots) -> _Columns:
    """Return copies of the columns at some slots."""
    return type(columns)(*(column[slots] for column in columns))


def put(columns: _Columns, slots: Slots, values: _Columns) -> None:
    """Set the columns at some slots."""
    for column, new in zip(columns, values, strict=True):
        column[slots] = new


def _filled(values: _Columns, count: int) -> _Columns:
    return type(values)(*(np.full(count, value, value.dtype) for value in values))


def _joined(first: _Columns, second: _Columns) -> _Columns:
    return type(first)(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


def _read(like: _Columns, table: pa.Table) -> _Columns:
    names = [f"{type(like).__name__}.{name}" for name in like._fields]
    return type(like)(*(table[name].to_numpy().astype(value.dtype) for name, value in zip(names, like, strict=True)))
