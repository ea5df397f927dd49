"""What comes out of a body."""

from __future__ import annotations

from dataclasses import dataclass

from archiver.model import SampleBatch
from archiver.model.batch import Int64s


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is no sample: its index in the body, from 0, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Decoded:
    """The samples of a body and the rows that were refused.

    Parameters
    ----------
    batch : SampleBatch
    refused : tuple of Refusal
        In order of index.
    rows : ndarray of int64, optional
        Index in the body of each sample of the batch; None when they are the same.
    """

    batch: SampleBatch
    refused: tuple[Refusal, ...] = ()
    rows: Int64s | None = None

    def index_of(self, row: int) -> int:
        """Return the index in the body of a row of the batch."""
        return row if self.rows is None else int(self.rows[row])
