"""The benches run, on data of a size at which their figures mean nothing."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = """
import bench.end_to_end as end_to_end
from bench.__main__ import table
from bench.registry import benches
end_to_end.ELEMENTS, end_to_end.SAMPLES, end_to_end.ROUNDS = 10, 20, 1
end_to_end.BATCH_ROWS = 50
names = list(benches())
assert {"end-to-end", "http-ingest", "http-read", "journal", "lanes"} <= set(names), names
rows = list(benches()["end-to-end"]())
assert all(row.ours > 0 and row.baseline > 0 for row in rows)
print(table(rows))
"""


def test_benches_are_found_and_one_runs():
    done = subprocess.run([sys.executable, "-c", TINY], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 4, done.stdout
