"""`python -m bench [NAME...]`: run the benches (all, or those named) and print one table, as Markdown."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version

from bench.registry import Row, benches

HEADER = ("work", "ours", "baseline", "", "unit", "ratio", "goal", "")


def cells(row: Row) -> tuple[str, ...]:
    """Return the row as the cells of the table."""
    verdict = {None: "", True: "reached", False: "SHORT"}[row.reached]
    goal = "" if row.goal is None else f"{'>=' if row.higher_is_better else '<='} {row.goal:g}"
    return (
        row.work,
        number(row.ours),
        number(row.baseline),
        row.baseline_name,
        row.unit,
        f"{row.ratio:.2f}",
        goal,
        verdict,
    )


def number(value: float) -> str:
    """Return a figure with three digits, in millions or thousands where it is large."""
    for scale, suffix in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g}{suffix}"
    return f"{value:.3g}"


def machine() -> str:
    """Return what the figures hold for."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyarrow", "deltalake", "duckdb", "numba"))
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}"


def table(rows: list[Row]) -> str:
    """Return rows as a Markdown table with aligned columns."""
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def main(names: list[str]) -> int:
    """Run the benches named (all when none is); return 2 for a name that does not exist, else 0."""
    known = benches()
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are: {', '.join(known) or 'none'}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names or known:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += known[name]()
    print(machine(), table(rows), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
