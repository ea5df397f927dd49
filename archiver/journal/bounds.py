"""When a journal is full, in bytes or in age: the same for every kind of journal."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archiver.model.time import DAY_NS
from archiver.ports import Options

_NEARLY = 0.9


class Bounds(Options):
    """How much a journal keeps, and what happens beyond that."""

    max_bytes: int = Field(10 * 2**30, gt=0, description="samples kept at most, in bytes")
    max_age_s: int = Field(30 * DAY_NS // 10**9, gt=0, description="age of its oldest sample when it counts as full")
    when_full: Literal["block", "drop_oldest"] = Field(
        "block", description="block: sources wait; drop_oldest: lanes that are behind lose samples, on record"
    )

    def share(self, held: int, age_s: float) -> float:
        """Return how full it is with so many bytes, the oldest of that age, as a share of the nearer bound."""
        return max(held / self.max_bytes, age_s / self.max_age_s)

    def drops(self, share: float) -> bool:
        """Whether the policy is to drop the oldest entries, and the journal is within a tenth of a bound."""
        return self.when_full == "drop_oldest" and share > _NEARLY

    def why_full(self, held: int, more: int, age_s: float) -> str:
        """Return why a journal of so many bytes takes no more of them, nothing when it does."""
        if held + more > self.max_bytes:
            return (
                f"the journal is full ({held} of {self.max_bytes} bytes): a backend is behind; "
                "see `forebay backends`, then repair it or raise journal.max_bytes"
            )
        if age_s > self.max_age_s:
            return (
                f"the journal's oldest sample waits for more than {self.max_age_s} s: a backend is behind; "
                "see `forebay backends`, then repair it or raise journal.max_age_s"
            )
        return ""
