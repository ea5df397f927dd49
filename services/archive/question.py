"""A query as a client writes it, in the query string or as JSON: one set of names, one set of errors."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from archiver.model import InvalidInputError
from archiver.model.time import now
from archiver.query import Join, Query, Range, span_of
from services.common.parameters import RangeOfTime, condition_of, duration_of, interval_of, time_of


class Question(BaseModel):
    """What is asked: elements, an interval, and what to make of the samples."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "elements": ["BAR:T1"],
                "ranges": [
                    {"backend": "lake", "from": "2025-01-01T00:00Z", "to": "2026-01-01T00:00Z"},
                    {"backend": "hot", "from": "2026-01-01T00:00Z", "to": "now"},
                ],
                "require": "complete",
            }
        },
    )

    elements: list[str] = Field(description="names, aliases or globs")
    start: str = Field("", description="ISO-8601 with a zone, or now-1h; with ranges it may be left out")
    end: str = Field("now", description="not included; as start")
    ranges: list[RangeOfTime] = Field(default_factory=list)
    backend: str | None = Field(None, description="ask this backend only")
    groups: list[str] = Field(default_factory=list, description="only samples stored by these archive groups")
    before: int = Field(0, ge=0, le=1, description="1: also the last value before the start")
    limit: int | None = Field(None, ge=1, description="most rows")
    cursor: str | None = Field(None, description="continue an answer that had a limit")
    aggregates: list[str] = Field(default_factory=list, description="count, min, max, mean, time_weighted_mean, …")
    bucket: str = Field("", description="length of a bucket, such as 1h; the whole interval if empty")
    as_of: str = Field("", description="only what was known at this time")
    versions: bool = Field(False, description="all versions of corrected samples")
    where: str = Field("", description="only where this condition holds, such as: valve = 'OPEN' and not pump is bad")
    wide: Literal["", "last", "nearest", "linear"] = Field(
        "", description="the elements side by side, a row per time; which sample of an element counts at a time"
    )
    tolerance: str = Field("", description="of a wide table: how far a sample may be from its row, such as 5s")
    step: str = Field("", description="of a wide table: rows at multiples of this since the epoch, such as 1s")
    times_of: str = Field("", description="of a wide table: rows at the times of this element; of all if empty")
    points: int = Field(0, ge=0, description="only about so many samples of each element, those that a plot needs")
    require: Literal["", "complete"] = Field("", description="complete: an error instead of a partial answer")
    outcome: bool = Field(False, description="CSV and NDJSON end with a line that says it")

    def to_query(self) -> Query:
        """Return the query; *now* is the same instant wherever it is written.

        Raises
        ------
        InvalidInputError
            Something in there cannot be understood, or contradicts itself.
        """
        at = now()
        ranges = tuple(Range(r.backend, interval_of(r.start, r.end, at=at)) for r in self.ranges)
        if not self.start and not ranges:
            raise InvalidInputError("start is missing: give the start of the time range, such as start=now-1h")
        return Query(
            tuple(self.elements),
            interval_of(self.start, self.end, at=at) if self.start else span_of(ranges),
            ranges=ranges,
            backend=self.backend,
            groups=tuple(self.groups),
            before=self.before,
            limit=self.limit,
            cursor=self.cursor,
            aggregates=tuple(self.aggregates),
            bucket_ns=duration_of("bucket", self.bucket) if self.bucket else 0,
            as_of=time_of("as_of", self.as_of) if self.as_of else None,
            versions=self.versions,
            complete=self.require == "complete",
            where=condition_of(self.where) if self.where else None,
            points=self.points,
            join=Join.parse(self.wide, self.tolerance, self.step, self.times_of),
        )
