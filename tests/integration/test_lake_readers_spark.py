"""Spark reads the lake as it lies: every kind of value, ns and status bits exact, after compaction too.

Spark runs in a process of its own: a Java machine inside the test process outlives the tests.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pytest

from archiver.backends.parquet import ParquetBackend
from archiver.model import Kind, SampleBatch
from archiver.ports import BackendContext, Position
from archiver.testing.patience import SOON_S

DELTA = "io.delta:delta-spark_4.1_2.13:4.4.0"
START = 1_767_225_600_000_000_007

READER = """
import json, sys
from pyspark.sql import SparkSession

def plain(value):
    return value.hex() if isinstance(value, (bytes, bytearray)) else int(value)

settings = {
    "spark.jars.packages": sys.argv[1],
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
builder = SparkSession.builder.master("local[1]")
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
for path in sys.argv[2:]:
    table = spark.read.format("delta").load(path).drop("group", "day", "bucket")
    rows = [row.asDict() for row in table.orderBy("element", "source_time", "sequence").collect()]
    print("ROWS " + json.dumps(rows, default=plain))
spark.stop()
"""


@pytest.fixture(autouse=True)
def _spark_is_here():
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("needs pyspark: pip install -r requirements/spark.txt")
    if shutil.which("java") is None:
        pytest.skip("needs java (Debian: default-jre-headless)")


def read_by_spark(tmp_path, *lakes) -> list[list[dict]]:
    program = tmp_path / "reader.py"
    program.write_text(READER)
    command = [sys.executable, program, DELTA, *lakes]
    # The machine's own name may be unknown to it, and nothing is to listen outside of it.
    here = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * SOON_S, cwd=tmp_path, env=here)
    if "UNRESOLVED DEPENDENCIES" in done.stderr:
        pytest.skip(f"needs {DELTA} from Maven Central")
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("ROWS ")]


def one_of_each() -> SampleBatch:
    """A sample of every kind, each of its own element, with the extremes of what it holds."""
    values = {
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
    columns = {
        kind: pa.array([value if kind is owner else None for owner in values], kind.arrow_type)
        for kind, value in values.items()
    }
    names = [kind.name.lower() for kind in values]
    return SampleBatch.from_columns(
        names, [START] * len(names), columns, status=[2**63 + 1] * len(names), receive_time=[START + 1] * len(names)
    )


def floats(count: int, write: int) -> SampleBatch:
    times = [START + write * 1_000_000_000 + offset for offset in range(count)]
    numbers = pa.array([write + offset / 4 for offset in range(count)])
    return SampleBatch.from_columns(
        ["BAR:a"] * count, times, {Kind.FLOAT: numbers}, receive_time=[START + write + 1] * count
    )


def write(tmp_path, name, *batches, compact=False):
    backend = ParquetBackend(BackendContext(name, tmp_path), ParquetBackend.Options())
    backend.open()
    for offset, batch in enumerate(batches, 1):
        backend.write({"all": batch}, Position("journal", offset))
    replaced = backend.compact() if compact else 0
    backend.close()
    return tmp_path / name, replaced


def test_spark_reads_the_table_exactly(tmp_path):
    kinds, _ = write(tmp_path, "kinds", one_of_each())
    compacted, replaced = write(tmp_path, "compacted", *(floats(50, number) for number in range(4)), compact=True)
    assert replaced > 1, "compaction replaced nothing: this test shows less than it should"

    of_kinds, of_compacted = read_by_spark(tmp_path, kinds, compacted)

    found = {row["element"]: row[row["element"]] for row in of_kinds}
    assert found == {
        "float": 0.1,
        "int": 2**63 - 1,
        "uint": 2**64 - 1,
        "bool": False,
        "text": "größe\n",
        "binary": "00ff",
        "enum": 3,
        "floats": [1.5, -0.25],
        "texts": ["a", ""],
    }
    assert {row["source_time"] for row in of_kinds} == {START}
    assert {row["status"] % 2**64 for row in of_kinds} == {2**63 + 1}

    expected = [(time, value) for number in range(4) for time, value in _pairs(floats(50, number))]
    assert [(row["source_time"], row["float"]) for row in of_compacted] == expected


def _pairs(batch: SampleBatch) -> list[tuple[int, float]]:
    return list(zip(batch.source_time.tolist(), batch.values(Kind.FLOAT).to_pylist(), strict=True))
