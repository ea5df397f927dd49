"""What a comparison of two backends found: segments, the samples that differ, and what need not be the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from archiver.model import Interval, Kind, SampleBatch, format_time


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """A stretch of time of some groups in both backends: how many samples, and the hash of all of them.

    Parameters
    ----------
    groups : tuple of str
        That hold the samples.
    rows, hashes : tuple of two int
        Of the one backend and of the other. Sets of the same samples have the same hash.
    """

    groups: tuple[str, ...]
    interval: Interval
    rows: tuple[int, int]
    hashes: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether both hold the same."""
        return self.rows[0] == self.rows[1] and self.hashes[0] == self.hashes[1]


@dataclass(frozen=True, slots=True)
class Exemption:
    """What was left out of the comparison, or differs as it must: why, in which backend, and how many samples.

    `samples` is None where they were not counted.
    """

    cause: str
    backend: str
    groups: tuple[str, ...]
    reason: str
    samples: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "cause": self.cause,
            "backend": self.backend,
            "groups": list(self.groups),
            "samples": self.samples,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Differences:
    """Samples that differ: only in the one, only in the other, and those that both have with another content.

    `changed` are two batches of equal length: row by row the same identity.
    """

    only: tuple[SampleBatch, SampleBatch]
    changed: tuple[SampleBatch, SampleBatch]

    @property
    def count(self) -> int:
        """Number of samples that differ; one of another content is one."""
        return sum(batch.num_rows for batch in self.only) + self.changed[0].num_rows


@dataclass
class Report:
    """The answer of `verify`.

    Parameters
    ----------
    names : tuple of two str
        The backends.
    interval : Interval
        As asked for.
    received_until : int or None
        Only samples received up to here (ns) were compared; None for all.
    shown : list of dict
        The first differing samples, as plain values.
    only : list of two int
        Samples that only the one, only the other has.
    changed : int
        Samples that both have with another kind, value or status.
    repaired : dict or None
        What the repair did: backend, read, stored, duplicates, corrected.
    remaining : int
        Samples that still differ after the repair; all that differ without one.
    """

    names: tuple[str, str]
    interval: Interval
    received_until: int | None = None
    segments: list[SegmentResult] = field(default_factory=list)
    exempt: list[Exemption] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    only: list[int] = field(default_factory=lambda: [0, 0])
    changed: int = 0
    repaired: dict[str, Any] | None = None
    remaining: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing differs, or nothing any more."""
        return self.remaining == 0

    def add(self, differences: Differences, most: int) -> None:
        """Count differences, and keep them until so many are shown."""
        for index in (0, 1):
            self.only[index] += differences.only[index].num_rows
        self.changed += differences.changed[0].num_rows
        for sample in _described(differences, self.names):
            if len(self.shown) >= most:
                return
            self.shown.append(sample)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, times as ISO-8601; backends are keys."""
        named = dict(zip(self.names, self.only, strict=True))
        rows = [sum(segment.rows[index] for segment in self.segments) for index in (0, 1)]
        return {
            "backends": list(self.names),
            "start": format_time(self.interval.start),
            "end": format_time(self.interval.end),
            "received_until": None if self.received_until is None else format_time(self.received_until),
            "same": self.same,
            "compared": dict(zip(self.names, rows, strict=True)),
            "only_in": named,
            "changed": self.changed,
            "remaining": self.remaining,
            "repaired": self.repaired,
            "exempt": [exemption.to_dict() for exemption in self.exempt],
            "segments": [self._segment(segment) for segment in self.segments],
            "samples": self.shown,
        }

    def _segment(self, segment: SegmentResult) -> dict[str, Any]:
        return {
            "groups": list(segment.groups),
            "start": format_time(segment.interval.start),
            "end": format_time(segment.interval.end),
            "rows": dict(zip(self.names, segment.rows, strict=True)),
            "hashes": {name: f"{value:016x}" for name, value in zip(self.names, segment.hashes, strict=True)},
            "same": segment.same,
        }


def _described(differences: Differences, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for index, name in enumerate(names):
        for row in differences.only[index].to_pylist():
            yield _identity(row) | {"what": f"only in {name}", name: _content(row)}
    for rows in zip(*(batch.to_pylist() for batch in differences.changed), strict=True):
        contents = {name: _content(row) for name, row in zip(names, rows, strict=True)}
        yield _identity(rows[0]) | {"what": "changed"} | contents


def _identity(row: tuple[Any, ...]) -> dict[str, Any]:
    return {"element": row[0], "source_time": format_time(row[1]), "sequence": row[2]}


def _content(row: tuple[Any, ...]) -> dict[str, Any]:
    kind: Kind = row[5]
    value = row[6] if kind is not Kind.FLOAT or row[6] == row[6] else "NaN"
    plain = value if isinstance(value, (int, float, str, type(None))) else repr(value)
    return {"value": plain, "kind": kind.name.lower(), "status": row[4], "received": format_time(row[3])}
