"""Conditions and values of rules, in CEL, evaluated over columns."""

from analytics.events.expressions.columns import Columns, Held, Input, Texts
from analytics.events.expressions.error import ExpressionError
from analytics.events.expressions.expression import Expression, Wanted
from analytics.events.expressions.shape import Shape

__all__ = ["Columns", "Expression", "ExpressionError", "Held", "Input", "Shape", "Texts", "Wanted"]
