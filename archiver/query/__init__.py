"""What was archived, read back: plan, merge, aggregate, format."""

from archiver.ports import Readable
from archiver.query.answer import Answer
from archiver.query.elements import expand
from archiver.query.execute import execute, values_at
from archiver.query.plan import Plan, Step, plan
from archiver.query.request import AGGREGATES, Missing, Part, Query, Range, span_of

__all__ = [
    "AGGREGATES",
    "Answer",
    "Missing",
    "Part",
    "Plan",
    "Query",
    "Range",
    "Readable",
    "Step",
    "execute",
    "expand",
    "plan",
    "span_of",
    "values_at",
]
