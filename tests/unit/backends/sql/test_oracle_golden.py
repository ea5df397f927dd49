"""Every statement that Oracle gets, as committed text: a change is seen by whoever reviews it.

After a change that is meant: ``python tests/unit/backends/sql/test_oracle_golden.py``, and read the difference.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from archiver.backends.sql.cells import Cells
from archiver.backends.sql.dialects.oracle import schema, statements
from archiver.backends.sql.dialects.oracle.hybrid import ColdFiles
from archiver.backends.sql.dialects.oracle.review import Review
from archiver.backends.sql.tables import SAMPLE_COLUMNS, Tables
from archiver.model import ArchiveGroup, Interval
from archiver.model.grid import Grid
from archiver.model.time import DAY_NS, MAX_TIME

GOLDEN = Path(__file__).parent / "golden"
TABLES = Tables("forebay_")
SLOW = ArchiveGroup("slow", ("*",), ("site",), retention_ns=30 * DAY_NS)
FAST = ArchiveGroup("Fast-1", ("*",), ("site",), segment_ns=60_000_000_000)


def samples_statements() -> Iterator[str]:
    slow, fast = TABLES.group("slow"), TABLES.group("Fast-1")
    yield statements.lock(TABLES.archive)
    yield statements.insert(slow.samples, SAMPLE_COLUMNS[:7])
    yield statements.insert(TABLES.staging, SAMPLE_COLUMNS[:2])
    yield statements.merge_new(slow.samples, TABLES.landing)
    yield statements.merge_newest(slow.latest, TABLES.staging)
    yield statements.read([slow.samples])
    yield statements.read([slow.samples, fast.samples])
    yield statements.read_block([slow.samples], 2)
    yield statements.read_block([slow.samples, fast.samples], 1)
    yield statements.instants(slow.samples, TABLES.staging)
    yield statements.last_before(slow.samples, 2)
    cells = Cells(Grid(Interval(-5, DAY_NS), DAY_NS // 24), frozenset({"min", "mean", "first"}), statements.WORDS)
    yield cells.select(slow.samples.name, statements.any_of(2))
    yield cells.instants(slow.samples.name, statements.any_of(1))
    yield schema.drop_partition(slow.samples, 5 * DAY_NS)
    yield schema.delete_interval(slow.samples, Interval(-1, 5), to_the_end=False)
    yield schema.delete_interval(slow.samples, Interval(5, MAX_TIME), to_the_end=True)
    yield schema.partition_length()
    yield schema.partition_bytes()


def review() -> Iterator[str]:
    archive = Review("archive", TABLES, [SLOW, FAST])
    yield from archive.accounts()
    yield from archive.definitions()
    yield from archive.readers()
    yield from archive.retention()


def hybrid() -> Iterator[str]:
    cold = [
        ColdFiles("slow", date(2026, 1, 2), "/lake/group=slow/day=2026-01-02/bucket=0", ("b.parquet", "a.parquet")),
        ColdFiles("slow", date(2026, 1, 1), "/lake/it's/bucket=0", ("c.parquet",)),
        ColdFiles("slow", date(2026, 1, 1), "/lake/it's/bucket=1", ("d.parquet",)),
        ColdFiles("slow", date(2026, 1, 3), "/lake/group=slow/day=2026-01-03/bucket=0", ("hot.parquet",)),
        ColdFiles("other", date(2026, 1, 1), "/lake/other", ("e.parquet",)),
    ]
    before = ColdFiles("slow", date(2026, 1, 2), "", ()).end
    yield from Review("archive", TABLES, [SLOW, FAST]).hybrid(cold, before)


FILES = {
    "oracle_statements.sql": lambda: ";\n\n".join(samples_statements()) + ";\n",
    "oracle_review.sql": lambda: "\n\n".join(review()) + "\n",
    "oracle_hybrid.sql": lambda: "\n\n".join(hybrid()) + "\n",
}


def test_statements() -> None:
    assert FILES["oracle_statements.sql"]() == (GOLDEN / "oracle_statements.sql").read_text()


def test_what_a_dba_reviews() -> None:
    assert FILES["oracle_review.sql"]() == (GOLDEN / "oracle_review.sql").read_text()


def test_the_hybrid_table() -> None:
    assert FILES["oracle_hybrid.sql"]() == (GOLDEN / "oracle_hybrid.sql").read_text()


if __name__ == "__main__":
    for name, text in FILES.items():
        (GOLDEN / name).write_text(text())
