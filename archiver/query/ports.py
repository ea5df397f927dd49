"""What a query asks of whatever it reads from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from archiver.model import Interval, SampleBatch
from archiver.ports import Coverage


class Readable(Protocol):
    """The reading verbs of a `Backend`, with everything acknowledged in the answers.

    Methods are called from several threads. `read` is expected to stream: what it yields at a time bounds the
    memory of a query. `TransientError` makes a query turn to the next reader that has the same.
    """

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Yield samples in order of element name, source time, sequence; see `Backend.read`."""

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return, per element that has one, the last valid sample before `time` (ns); see `Backend.last_before`."""

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample here, sorted."""

    def coverage(self) -> list[Coverage]:
        """Return what is held, an entry per group that has samples."""


Readers = Mapping[str, Readable]
"""Readers by backend name, in the order of the configuration."""
