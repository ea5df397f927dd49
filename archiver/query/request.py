"""What is asked: elements, an interval, and what to make of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from archiver.model import Interval, InvalidInputError, parse_interval
from archiver.model.holding import Cause
from archiver.query.condition import Condition
from archiver.query.join import Join

AGGREGATES = (
    "count",
    "good_count",
    "min",
    "max",
    "mean",
    "time_weighted_mean",
    "std",
    "first",
    "last",
    "integral",
)
"""Names of the aggregates that a query may ask for; `archiver.query.buckets` says what each is."""
FEWEST_POINTS = 10
WEIGHTED = frozenset({"time_weighted_mean", "integral"})
"""Those of them that count a value for as long as it was held."""


@dataclass(frozen=True, slots=True)
class Range:
    """One backend answers one span of time."""

    backend: str
    interval: Interval

    @classmethod
    def parse(cls, text: str, *, at: int | None = None) -> Range:
        """Return the range that ``NAME=FROM/TO`` says.

        Parameters
        ----------
        text : str
        at : int, optional
            What ``now`` means, ns: the same in all ranges of a query, or there are gaps between them.

        Raises
        ------
        InvalidInputError

        Examples
        --------
        >>> Range.parse("lake=1970-01-01T00:00:00Z/1970-01-01T00:00:01Z")
        Range(backend='lake', interval=Interval(start=0, end=1000000000))
        """
        backend, equals, span = text.partition("=")
        start, slash, end = span.partition("/")
        if not (backend and equals and slash):
            raise InvalidInputError(f"{text!r}: write NAME=FROM/TO, such as lake=2026-01-01T00:00:00Z/now")
        return cls(backend, parse_interval(start, end, at=at))


def span_of(ranges: Sequence[Range]) -> Interval:
    """Return the interval from where the first of one or more ranges starts to where the last one ends."""
    return Interval(min(r.interval.start for r in ranges), max(r.interval.end for r in ranges))


@dataclass(frozen=True)
class Query:
    """A question to the archive.

    Parameters
    ----------
    elements : tuple of str
        Names; `Archive.query` expands globs before (`archiver.query.expand`).
    interval : Interval
        Half open.
    ranges : tuple of Range
        Which backend answers which span of time; where spans overlap, a sample that several hold is given once.
    backend : str, optional
        One backend answers everything. With neither, the planner picks.
    groups : tuple of str
        Only samples stored by these archive groups; all when empty.
    before : int
        How many values before the start are given with each element: 0 or 1.
    limit : int, optional
        Most rows of the answer; the answer's cursor continues it.
    cursor : str, optional
        From an answer to the same query: continue after its last row. The interval is that of the first
        question, so that one which ends "now" does not move between two pages.
    aggregates : tuple of str
        Of `AGGREGATES`, per element and bucket, instead of the samples.
    bucket_ns : int
        Length of a bucket, aligned to the epoch (UTC); 0 makes one bucket of the whole interval.
    as_of : int, optional
        Only what had been received before or at this time, ns.
    versions : bool
        All versions of a corrected sample, oldest first, instead of the valid one.
    complete : bool
        An answer that would be partial is an error instead (``require=complete``).
    where : Condition, optional
        Only samples at whose source time this holds; of a join, only rows at whose time it does.
    join : Join, optional
        The elements side by side, a row per time, instead of one after the other.
    points : int
        Of each element only about so many samples, those that a plot needs; all when 0. See `archiver.query.thinning`.

    Raises
    ------
    InvalidInputError
        Something in there contradicts itself; the message says what and what to write.
    """

    elements: tuple[str, ...]
    interval: Interval
    ranges: tuple[Range, ...] = ()
    backend: str | None = None
    groups: tuple[str, ...] = ()
    before: int = 0
    limit: int | None = None
    cursor: str | None = None
    aggregates: tuple[str, ...] = ()
    bucket_ns: int = 0
    as_of: int | None = None
    versions: bool = False
    complete: bool = False
    where: Condition | None = None
    join: Join | None = None
    points: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.aggregates if name not in AGGREGATES]
        checks = (
            (not self.elements, "no element is named; name one or more"),
            (bool(self.ranges) and self.backend is not None, "both ranges and a backend are given; leave out one"),
            (self.before not in (0, 1), f"before = {self.before}; it is 0 or 1"),
            (self.limit is not None and self.limit < 1, f"limit = {self.limit}; it is 1 or more"),
            (bool(unknown), f"no such aggregate: {', '.join(unknown)}; there are {', '.join(AGGREGATES)}"),
            (len(set(self.aggregates)) < len(self.aggregates), "an aggregate is named twice; name it once"),
            (self.bucket_ns < 0, f"bucket_ns = {self.bucket_ns}; it is 0 (one bucket) or more"),
            (self.bucket_ns > 0 and not self.aggregates, "a bucket without an aggregate; name one, such as mean"),
            (bool(self.aggregates) and self.versions, "aggregates are of valid samples; leave out versions"),
            (bool(self.aggregates) and self.before > 0, "aggregates use the value before by themselves; leave it out"),
            (self.where is not None and self.before > 0, "where chooses samples in the interval; leave out before"),
            (
                self.where is not None and bool(set(self.aggregates) & WEIGHTED),
                f"{' and '.join(sorted(WEIGHTED))} are over all of the time, and where leaves some out; ask for mean",
            ),
            (self.join is not None and self.before > 0, "a join uses the value before by itself; leave out before"),
            (self.join is not None and bool(self.aggregates), "a join is of samples; leave out the aggregates"),
            (self.join is not None and self.versions, "a join is of valid samples; leave out versions"),
            (
                self.points != 0 and self.points < FEWEST_POINTS,
                f"points = {self.points}; it is {FEWEST_POINTS} or more",
            ),
            (self.points > 0 and self.limit is not None, "a plot is of the whole interval; leave out the limit"),
            (
                self.points > 0 and (self.versions or bool(self.aggregates) or self.join is not None),
                "points chooses among valid samples; leave out aggregates, joins and versions",
            ),
        )
        for wrong, message in checks:
            if wrong:
                raise InvalidInputError(f"the query cannot be answered: {message}")

    @property
    def all_elements(self) -> tuple[str, ...]:
        """All elements that are read for the answer: those of the condition and of the times of a join as well."""
        condition = () if self.where is None else self.where.elements
        times_of = () if self.join is None or self.join.times_of is None else (self.join.times_of,)
        return tuple(dict.fromkeys([*self.elements, *condition, *times_of]))


class Role(StrEnum):
    """Why a backend was read."""

    FIRST = "first choice"
    STAND_BY = "stand-by"
    HEDGE = "hedge"


@dataclass(slots=True)
class Part:
    """What one backend gave to an answer.

    Parameters
    ----------
    backend : str
    interval : Interval
    role : Role
        The first choice; a stand-by, after another one failed; or a hedge, because the first choice was late.
    rows : int
        Before the merge.
    seconds : float
        Spent waiting for it.
    first_s : float
        Of these, until its first batch.
    trouble : str
        Why it did not give all of it; empty when it did.
    aggregated : bool
        It made the aggregates itself: `rows` are buckets.
    """

    backend: str
    interval: Interval
    role: Role = Role.FIRST
    rows: int = 0
    seconds: float = 0.0
    first_s: float = 0.0
    trouble: str = ""
    aggregated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """What an answer lacks, and why.

    Parameters
    ----------
    interval : Interval
    backend : str
        Which should have given it; empty when none is to blame.
    reason : str
    elements : tuple of str
        Of which elements; empty means all of the query.
    cause : Cause
        The reason for programs.
    """

    interval: Interval
    backend: str
    reason: str
    elements: tuple[str, ...] = ()
    cause: Cause = Cause.BACKEND_DOWN

    @property
    def is_partial(self) -> bool:
        """Whether the answer is short of what was acknowledged: that a source was silent is no fault of the answer."""
        return self.cause is not Cause.DISCONNECTED
