"""What the client hands to Spark arrives there exact: every kind of value, ns and status bits.

Spark runs in a process of its own: a Java machine inside the test process outlives the tests.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from archiver.model import Kind, SampleBatch
from archiver.query import Answer
from archiver.query.formats import write
from archiver.testing.patience import SOON_S

START = 1_767_225_600_000_000_007
BITS = 2**63 + 5
READER = """
import json, sys
from pathlib import Path
from pyspark.sql import SparkSession
from archiver.client import Answer

def plain(value):
    return value.hex() if isinstance(value, (bytes, bytearray)) else int(value)

builder = SparkSession.builder
if sys.argv[1] == "connect":
    builder = builder.remote("local[1]")
else:
    builder = builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
spark = builder.getOrCreate()
for path in sys.argv[2:]:
    rows = Answer.read(Path(path).read_bytes()).spark(spark).orderBy("element").collect()
    print("ROWS " + json.dumps([row.asDict() for row in rows], default=plain))
spark.stop()
"""
VALUES: dict[Kind, Any] = {
    Kind.FLOAT: 0.1,
    Kind.INT: 2**63 - 1,
    Kind.UINT: 2**64 - 1,
    Kind.BOOL: False,
    Kind.TEXT: "größe\n",
    Kind.BINARY: b"\x00\xff",
    Kind.ENUM: 3,
    Kind.FLOATS: [1.5, -0.25],
    Kind.TEXTS: ["a", ""],
}


@pytest.fixture(params=["classic", "connect"])
def session(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("needs pyspark: pip install -r requirements/spark.txt")
    if shutil.which("java") is None:
        pytest.skip("needs java (Debian: default-jre-headless)")
    if request.param == "connect" and importlib.util.find_spec("grpc") is None:
        pytest.skip("needs what Spark Connect needs: pip install 'pyspark[connect]'")
    return str(request.param)


def read_by_spark(session: str, directory: Path, batches: list[SampleBatch]) -> list[dict[str, Any]]:
    """Return the first row of each answer, as Spark has it."""
    program = directory / "reader.py"
    program.write_text(READER)
    files = [directory / f"{number}.arrow" for number in range(len(batches))]
    for file, batch in zip(files, batches, strict=True):
        file.write_bytes(b"".join(write(Answer.of(batch), "arrow")))
    command = [sys.executable, program, session, *files]
    here = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * SOON_S, cwd=directory, env=here)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line[5:])[0] for line in done.stdout.splitlines() if line.startswith("ROWS ")]


def test_each_kind_arrives_exact(session: str, tmp_path: Path) -> None:
    batches = [
        SampleBatch.from_columns("T", [START], pa.array([value], kind.arrow_type), status=[BITS], kind=kind)
        for kind, value in VALUES.items()
    ]
    rows = read_by_spark(session, tmp_path, batches)
    assert [(row["element"], row["source_time"], row["status"] % 2**64) for row in rows] == [
        ("T", START, BITS) for _ in VALUES
    ]
    expected = [value.hex() if isinstance(value, bytes) else value for value in VALUES.values()]
    assert [row["value"] for row in rows] == expected
