"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Data = Annotated[
    Path | None, typer.Option("--data", help="Data directory of the archive.", show_default="forebay-data")
]
Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
From = Annotated[str, typer.Option("--from", metavar="T", help="Start: ISO-8601 with a zone, or now-1h.")]
To = Annotated[str, typer.Option("--to", metavar="T", help="End, not included.")]
Ranges = Annotated[
    list[str] | None, typer.Option("--range", metavar="NAME=FROM/TO", help="Which backend answers which time.")
]
Require = Annotated[Literal["complete"] | None, typer.Option(help="complete: an error instead of a partial answer.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Say who would answer, at what cost, and why; read nothing.")]


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as aligned text columns, a header first; numbers to the right."""
    if not rows:
        return "nothing\n"
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    right = [all(isinstance(row[name], (int, float)) or row[name] is None for row in rows) for name in names]
    lines = []
    for line in [names, *cells]:
        padded = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(line, widths, right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
