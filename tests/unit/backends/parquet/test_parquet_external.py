"""DuckDB and Polars read the same values from the files as they lie, by the list in the Delta log."""

from __future__ import annotations

import numpy as np
import pytest
from deltalake import DeltaTable

from archiver.model import Kind, SampleBatch, Status

START = 1_767_225_600_000_000_000
VALUES = {"f": 0.1 + 0.2, "i": 2**63 - 1, "u": 2**64 - 1, "t": "é\n", "b": True}


@pytest.fixture(params=["as written", "compacted"])
def files(lake, request):
    backend = lake()
    backend.open()
    columns = {"f": Kind.FLOAT, "i": Kind.INT, "u": Kind.UINT, "t": Kind.TEXT, "b": Kind.BOOL}
    for offset, (name, kind) in enumerate(columns.items()):
        times = np.array([START + 1, START + 123_456_789])
        batch = SampleBatch.from_columns(
            name, times + offset, [VALUES[name], None], kind=kind, status=[int(Status.EXP_INV), 2**63]
        )
        backend.write({"all": batch})
    if request.param == "compacted":
        backend.compact()
    backend.close()
    return DeltaTable(str(backend.root)).file_uris()


def expected():
    rows = []
    for offset, name in enumerate(VALUES):
        value = [VALUES[name] if other == name else None for other in VALUES]
        rows.append((name, START + 1 + offset, int(Status.EXP_INV), *value))
        rows.append((name, START + 123_456_789 + offset, -(2**63), *[None] * 5))
    return sorted(rows)


def test_duckdb(files):
    duckdb = pytest.importorskip("duckdb")
    sql = f"""SELECT element, source_time, status, float, int, uint, text, bool
              FROM read_parquet({files!r}, union_by_name = true) ORDER BY 1, 2"""
    with duckdb.connect() as connection:
        assert connection.execute(sql).fetchall() == expected()


def test_polars(files):
    polars = pytest.importorskip("polars")
    columns = ["element", "source_time", "status", "float", "int", "uint", "text", "bool"]
    frame = polars.concat([polars.read_parquet(file, hive_partitioning=False) for file in files], how="diagonal")
    assert sorted(frame.select(columns).rows()) == expected()


def test_delta_table(files, lake):
    table = DeltaTable(str(lake().root))
    assert table.schema().fields[0].name == "element"
    assert sorted(set(table.partitions()[0])) == ["bucket", "day", "group"]
    assert table.partitions()[0]["day"] == "2026-01-01"
