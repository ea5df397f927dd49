"""What was archived, read back: plan, merge, aggregate, format."""

from archiver.ports import Readable
from archiver.query.answer import Answer
from archiver.query.choosing import Known, Step
from archiver.query.condition import Condition
from archiver.query.costs import Costs
from archiver.query.elements import expand
from archiver.query.execute import execute, values_at
from archiver.query.join import Join, Match
from archiver.query.plan import Plan, plan
from archiver.query.request import AGGREGATES, Missing, Part, Query, Range, Role, span_of

__all__ = [
    "AGGREGATES",
    "Answer",
    "Condition",
    "Costs",
    "Join",
    "Known",
    "Match",
    "Missing",
    "Part",
    "Plan",
    "Query",
    "Range",
    "Readable",
    "Role",
    "Step",
    "execute",
    "expand",
    "plan",
    "span_of",
    "values_at",
]
