"""What becomes of the parts of an answer while it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from archiver.model import TransientError
from archiver.query.choosing import Step
from archiver.query.request import Missing, Part, Role


@dataclass
class Record:
    """What was read from where, and what could not be; filled while an answer is consumed."""

    parts: list[Part] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    errors: list[TransientError] = field(default_factory=list)
    finished: list[Step] = field(default_factory=list)
    cursor: str | None = None

    def part(self, backend: str, step: Step, role: Role = Role.FIRST) -> Part:
        """Return a new part: each thread counts in its own."""
        part = Part(backend, step.interval, role)
        self.parts.append(part)
        return part

    def summary(self) -> list[Part]:
        """Return one part per backend, interval, role and kind of rows, in order of time."""
        sums: dict[tuple[int, int, str, Role, bool], Part] = {}
        for part in self.parts:
            key = (part.interval.start, part.interval.end, part.backend, part.role, part.aggregated)
            new = Part(part.backend, part.interval, part.role, first_s=part.first_s, aggregated=part.aggregated)
            total = sums.setdefault(key, new)
            total.rows += part.rows
            total.seconds += part.seconds
            total.trouble = total.trouble or part.trouble
        return [sums[key] for key in sorted(sums)]

    def failed(self, step: Step, backend: str, exc: TransientError, elements: Sequence[str], trouble: str) -> None:
        """Note that the last backend of a step failed: nobody gives what is left of it."""
        self.errors.append(exc)
        reason = f"{exc}; {trouble}" if trouble and trouble not in str(exc) else str(exc)
        self.missing.append(Missing(step.interval, backend, reason, _named(step, elements)))

    def lacks(self, step: Step, backend: str, elements: Sequence[str]) -> None:
        """Note what a step lacks because of the backend that answers the rest of it."""
        for lack in step.lacks(backend):
            self.missing.append(Missing(lack.interval, backend, lack.reason, _named(step, elements), lack.cause))

    @property
    def is_partial(self) -> bool:
        """Whether anything is missing that was acknowledged."""
        return any(missing.is_partial for missing in self.missing)


def _named(step: Step, elements: Sequence[str]) -> tuple[str, ...]:
    return () if tuple(elements) == step.elements else tuple(elements)
