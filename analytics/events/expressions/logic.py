"""And, or, not and choice among conditions and values of which some are unknown.

In the order false, unknown, true, "and" is the least of its terms and "or" the greatest, as Kleene has it; CEL says the
same of an error in place of what is unknown.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from analytics.events.expressions.vectors import Numbers, Truth, Unknown, Wholes, either


def every(terms: list[Truth]) -> Truth:
    """Return whether all terms hold."""
    return reduce(_both, terms)


def some(terms: list[Truth]) -> Truth:
    """Return whether any term holds."""
    return reduce(_one, terms)


def opposite(term: Truth) -> Truth:
    """Return whether a term does not hold; unknown where it is."""
    impossible = ~term.possible
    return Truth(impossible, impossible if term.sure is term.possible else ~term.sure)


def _both(left: Truth, right: Truth) -> Truth:
    sure = left.sure & right.sure
    return Truth(sure, sure if _is_certain(left, right) else left.possible & right.possible)


def _one(left: Truth, right: Truth) -> Truth:
    sure = left.sure | right.sure
    return Truth(sure, sure if _is_certain(left, right) else left.possible | right.possible)


def _is_certain(left: Truth, right: Truth) -> bool:
    return left.sure is left.possible and right.sure is right.possible


def choose_truth(test: Truth, left: Truth, right: Truth) -> Truth:
    """Return the first where the test holds, the second where it does not, and unknown elsewhere."""
    holds = np.where(test.sure, left.sure, right.sure)
    unknown = _chosen(test, left.unknown, right.unknown)
    return Truth.of(holds, unknown)


def choose_numbers(test: Truth, left: Numbers, right: Numbers) -> Numbers:
    """Return numbers chosen as `choose_truth` does."""
    values = np.where(test.sure, left.values, right.values)
    return Numbers(values, _chosen(test, left.unknown, right.unknown), left.may_be_nan or right.may_be_nan)


def choose_wholes(test: Truth, left: Wholes, right: Wholes) -> Wholes:
    """Return integers chosen as `choose_truth` does."""
    return Wholes(np.where(test.sure, left.values, right.values), _chosen(test, left.unknown, right.unknown))


def _chosen(test: Truth, left: Unknown, right: Unknown) -> Unknown:
    """Return where a choice is unknown."""
    if left is None and right is None:
        return test.unknown
    no = np.False_
    return either(test.unknown, np.where(test.sure, no if left is None else left, no if right is None else right))
