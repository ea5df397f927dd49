"""The archive's database: what cannot be opened is left as it was, and a full disk is a reason to wait."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from archiver.model import BackpressureError, PermanentError
from archiver.pipeline.store import FORMAT, Store


def test_a_file_of_a_newer_format_is_refused_and_left_as_it_was(tmp_path: Path):
    path = tmp_path / "archive.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={FORMAT + 1}")
    connection.close()
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(PermanentError, match=f"format {FORMAT + 1}, newer than {FORMAT}: upgrade forebay"):
            Store(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    path = tmp_path / "archive.db"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(PermanentError, match=r"archive\.db: file is not a database"):
        Store(path)


def test_a_full_disk_asks_to_come_again(tmp_path: Path):
    store = Store(tmp_path / "archive.db")
    store.create("CREATE TABLE t (x BLOB)")
    with store.transaction() as connection:
        connection.execute("PRAGMA max_page_count=1")
    with pytest.raises(BackpressureError, match="free space on its disk"), store.transaction() as connection:
        connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    store.close()
