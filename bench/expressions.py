"""Expressions of rules over columns, beside the same in numpy, which takes all for known, and beside CEL row by row."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import cel
import numpy as np

from analytics.events.expressions import Columns, Expression, Held, Input, Shape
from bench.registry import Row, bench
from bench.timing import seconds

ROWS, BY_ROW, ROUNDS = 100_000, 5_000, 41
TWO = "value > 80.0 && good"
TEN = (
    "inlet > 80.0 && outlet < 75.0 && inlet - outlet > 5.0 && abs(inlet - 70.0) < 20.0 && (inlet + outlet) / 2.0 > 70.0"
    " && inlet != outlet && !(outlet > 90.0) && (inlet < 100.0 || outlet > 60.0) && inlet.good && outlet.good"
)


@bench("expressions")
def expressions() -> Iterator[Row]:
    """100 000 rows of which one in a hundred is bad: ns a row, with what it takes to make columns of the arrays."""
    random = np.random.default_rng(7)
    a, b, good = random.normal(80, 5, ROWS), random.normal(70, 5, ROWS), random.random(ROWS) > 0.01

    two = Expression.parse(TWO, {"value": Shape.NUMBER})
    yield _row(
        f"expression: {TWO}",
        lambda: two.truth(Columns(ROWS, {"value": Input(Held(good, a))})),
        "numpy",
        lambda: (a > 80.0) & good,
    )
    ten = Expression.parse(TEN, {"inlet": Shape.NUMBER, "outlet": Shape.NUMBER})
    yield _row(
        "expression: ten terms on two inputs",
        lambda: ten.truth(Columns(ROWS, {"inlet": Input(Held(good, a)), "outlet": Input(Held(good, b))})),
        "numpy",
        lambda: (
            (a > 80.0)
            & (b < 75.0)
            & (a - b > 5.0)
            & (np.abs(a - 70.0) < 20.0)
            & ((a + b) / 2.0 > 70.0)
            & (a != b)
            & ~(b > 90.0)
            & ((a < 100.0) | (b > 60.0))
            & good
            & good
        ),
        goal=2.0,
    )
    program = cel.compile(TWO)
    few = [{"value": value, "good": is_good} for value, is_good in zip(a.tolist(), good.tolist(), strict=True)][:BY_ROW]
    columns = Columns(BY_ROW, {"value": Input(Held(good[:BY_ROW], a[:BY_ROW]))})
    yield _row(
        f"expression: {TWO}, {BY_ROW} rows",
        lambda: two.truth(columns),
        "CEL in Rust, row by row",
        lambda: [program.execute(row) for row in few],
        rows=BY_ROW,
        goal=0.1,
    )


def _row(
    work: str,
    ours: Callable[[], object],
    name: str,
    theirs: Callable[[], object],
    rows: int = ROWS,
    goal: float | None = None,
) -> Row:
    taken = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) * 1e9 / rows for column in zip(*taken, strict=True))
    return Row(work, mine, name, other, "ns/row", goal, higher_is_better=False)
