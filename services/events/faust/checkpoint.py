"""What a shard knows, in a table: written so that whatever interrupts it, a whole one is there.

Each time that a worker gets a shard it writes under a token of its own, so that one that lost the shard without
noticing cannot spoil what its successor writes. A checkpoint is the states that have changed, each in the one of two
slots that the last checkpoint does not use, and, after all of them, the record that says which slots hold it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, MutableMapping

import msgspec

from services.events.faust.evaluate import Progress

Table = MutableMapping[bytes, bytes]


class Record(msgspec.Struct, frozen=True):
    """A whole checkpoint.

    Parameters
    ----------
    progress : Progress
    slots : dict of str to int
        By rule: where its state is.
    """

    progress: Progress
    slots: dict[str, int]


class Checkpoints:
    """The checkpoints of a shard, by one holder.

    Parameters
    ----------
    table : mapping of bytes to bytes
        Kept in the order in which it is written.
    shard : int
    """

    def __init__(self, table: Table, shard: int) -> None:
        self._table = table
        self._shard = shard
        self._token = secrets.token_hex(8)
        self._slots: dict[str, int] = {}

    @property
    def fresh(self) -> bool:
        """Whether this holder has written none yet: its first one has the states of all rules."""
        return not self._slots

    def restore(self) -> tuple[dict[str, bytes], Progress]:
        """Return the states and the progress of the whole checkpoint that has come farthest; nothing for none."""
        found = []
        for key, value in list(self._table.items()):
            shard, token, rule, _ = _parts(key)
            if shard == self._shard and not rule:
                found.append((msgspec.msgpack.decode(value, type=Record), token))
        for record, token in sorted(found, key=lambda pair: -pair[0].progress.offset):
            keys = {rule: _key(self._shard, token, rule, slot) for rule, slot in record.slots.items()}
            if all(key in self._table for key in keys.values()):
                return {rule: self._table[key] for rule, key in keys.items()}, record.progress
        return {}, Progress()

    def write(self, states: Mapping[str, bytes], rules: list[str], progress: Progress) -> None:
        """Write a checkpoint: the states that have changed, and the rules that there are."""
        slots = {rule: self._slots.get(rule, 1) for rule in rules}
        for rule, state in states.items():
            slots[rule] = 1 - slots[rule]
            self._table[_key(self._shard, self._token, rule, slots[rule])] = state
        self._table[_key(self._shard, self._token)] = msgspec.msgpack.encode(Record(progress, slots))
        self._slots = slots

    def forget_others(self) -> None:
        """Forget what holders before wrote, when a checkpoint of this one is whole."""
        for key in list(self._table):
            shard, token, _, _ = _parts(key)
            if shard == self._shard and token != self._token:
                del self._table[key]


def progress_of(table: Mapping[bytes, bytes], shard: int) -> Progress:
    """Return how far the whole checkpoint of a shard has come that has come farthest."""
    return Checkpoints(dict(table), shard).restore()[1]


def _key(shard: int, token: str, rule: str = "", slot: int = 0) -> bytes:
    return f"{shard}/{token}/{rule}/{slot}".encode()


def _parts(key: bytes) -> tuple[int, str, str, int]:
    shard, token, rule, slot = key.decode().split("/")
    return int(shard), token, rule, int(slot)


def partition_of(key: bytes) -> int:
    """Return the shard that a key of the table belongs to."""
    return _parts(key)[0]
