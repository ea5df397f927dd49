"""What workers send each other, and the events that they send to the archive."""

from __future__ import annotations

from typing import Any

import msgspec

from analytics.events.event import Event
from archiver.journal.payload import decode, encode
from archiver.model import SampleBatch


class Routed(msgspec.Struct, frozen=True, array_like=True):
    """Samples of one shard out of entries of one journal that follow each other; all shards get all entries.

    Parameters
    ----------
    journal : int
        Partition.
    after : int
        Offset of the entry before; below zero where nothing that the shards have not got lies before.
    offsets : list of int
        Of the entries; none says that the journal was silent, having given all through `after`.
    ends : list of int
        Number of samples through each entry.
    clock : int
        Receive time through the last entry, ns.
    samples : bytes
        See `archiver.journal.payload`.
    """

    journal: int
    after: int
    offsets: list[int]
    ends: list[int]
    clock: int
    samples: bytes

    @property
    def through(self) -> int:
        """Offset of the last entry."""
        return self.offsets[-1] if self.offsets else self.after

    def to_bytes(self) -> bytes:
        """Return it as bytes."""
        return _ENCODER.encode(self)


def routed_of(data: bytes) -> Routed:
    """Return what `Routed.to_bytes` was called of.

    Raises
    ------
    ValueError
        It is something else.
    """
    return _DECODER.decode(data)


def samples_bytes(batch: SampleBatch) -> bytes:
    """Return samples as `Routed` has them; nothing for none."""
    return bytes(encode(batch)) if batch.num_rows else b""


def batch_of(samples: bytes) -> SampleBatch:
    """Return the samples that `samples_bytes` was given."""
    return decode(samples) if samples else SampleBatch.empty()


def event_bytes(event: Event) -> bytes:
    """Return an event as JSON: its id, time in ns, and all else it has."""
    return _JSON.encode(
        {
            "id": event.id,
            "rule": event.rule,
            "key": event.key,
            "kind": event.kind,
            "time": event.time,
            "ordinal": event.ordinal,
            "value": event.value,
            "attributes": dict(event.attributes),
        }
    )


def event_of(data: bytes) -> Event:
    """Return the event that `event_bytes` was given.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        found: dict[str, Any] = msgspec.json.decode(data)
        found.pop("id")
        return Event(**found)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"no event: {data[:80]!r}") from exc


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Routed)
_JSON = msgspec.json.Encoder()
