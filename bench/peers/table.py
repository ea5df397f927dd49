"""The figures as a Markdown table, and the page that keeps them."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.peers.measure import QUERIES, Figures

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "measurements.md"
BEGIN, END = "<!-- peers: begin; written by `make bench-peers` -->", "<!-- peers: end -->"
_COLUMNS = (
    "peer",
    "ingest, 1000 samples/s",
    "until readable",
    "x pyarrow",
    "synced when acknowledged",
    "lost on kill -9",
    "resend stored",
    "B/sample",
    *(f"{query}, ms" for query in QUERIES),
)


def table(figures: Sequence[Figures], absent: Sequence[tuple[str, str]]) -> str:
    """Return a row per peer; one without figures has the reason why."""
    rows = [_cells(row) for row in figures]
    rows += [[name, why, *[""] * (len(_COLUMNS) - 2)] for name, why in absent]
    lines = [list(_COLUMNS), ["---"] * len(_COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def conditions(elements: int, samples: int) -> str:
    """Return what the figures hold for: the data, the machine, the versions and the date."""
    packages = ("pyarrow", "deltalake", "duckdb", "chdb", "adbc-driver-postgresql", "numba")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    date = datetime.now(UTC).date().isoformat()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{elements} elements x {samples} samples; {date}, {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}, {versions}. "
        f"Load average of the last 15 minutes, this run included: {os.getloadavg()[2]:.1f}."
    )


def keep(text: str) -> None:
    """Put the text between the markers of the page, in place of what was there."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _cells(row: Figures) -> list[str]:
    return [
        row.name,
        f"{row.rows / row.acknowledged_s / 1e3:.0f}",
        f"{row.rows / row.readable_s / 1e3:.0f}",
        f"{row.acknowledged_s / row.unit_s:.1f}",
        row.synced,
        _lost(row),
        _resent(row),
        f"{row.bytes / row.rows:.1f}",
        *(f"{row.queries_ms[query]:.1f}" for query in QUERIES),
    ]


def _lost(row: Figures) -> str:
    if row.lost is None or row.acknowledged is None:
        return "-"
    return "0" if not row.lost else f"**{row.lost:,} of {row.acknowledged:,}**"


def _resent(row: Figures) -> str:
    if row.lost is None:
        return "-"
    if row.doubled is None:
        return "refused whole"
    return {0: "once", row.resent: "twice"}.get(row.doubled, f"{row.doubled / row.resent:.0%} twice")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
