"""What a backend that only passes samples on answers when it is asked for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from archiver.model import Interval, SampleBatch, UnsupportedError
from archiver.ports import Coverage


class PassingOn:
    """The reading verbs of a backend whose `BackendLimits` say that it is not readable."""

    name: str

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Refuse: see `archiver.ports.Readable.read`."""
        self._refuse()

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Refuse: see `archiver.ports.Readable.last_before`."""
        self._refuse()

    def elements(self) -> list[str]:
        """Return nothing: there is nothing to be asked for."""
        return []

    def coverage(self) -> list[Coverage]:
        """Return nothing: there is nothing to be asked for."""
        return []

    def _refuse(self) -> NoReturn:
        raise UnsupportedError(f"backend {self.name} only passes samples on: it cannot be asked for them")
