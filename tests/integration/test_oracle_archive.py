"""An archive with a backend in Oracle, on the stand-in: bad samples, an outage under load, back-fills, the review."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import SampleBatch
from archiver.model.time import ALWAYS, DAY_NS
from archiver.testing.oracle import OracleDouble, UnavailableError, connect
from archiver.testing.service import until

PROGRAM = Path(__file__).parents[1] / "doubles" / "oracle"
T0 = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
CONFIG = """
[[backends]]
name = "lake"
kind = "parquet"
[[backends]]
name = "site"
kind = "sql"
url = "{url}"
[[groups]]
name = "all"
elements = ["*"]
backends = ["lake", "site"]
retention = "9000d"
"""


@pytest.fixture
def double(tmp_path: Path) -> Iterator[OracleDouble]:
    try:
        server = OracleDouble(PROGRAM, f"file:{tmp_path / 'h2'}")
    except UnavailableError as exc:
        pytest.skip(str(exc))
    yield server
    server.kill()


@pytest.fixture
def data(double: OracleDouble, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "forebay.toml").write_text(CONFIG.format(url=double.url))
    return folder


def opened(data: Path) -> Archive:
    return Archive(config.load(data / "forebay.toml", overrides={"data": str(data)}))


def ramp(first: int, count: int, element: str = "P") -> SampleBatch:
    times = T0 + np.arange(first, first + count) * 1_000_000_000
    return SampleBatch.from_columns(element, times, np.arange(first, first + count) * 1.0)


def values(double: OracleDouble) -> list[float]:
    with connect(double.url) as connection, connection.cursor() as cursor:
        rows = cursor.execute("SELECT float_value FROM forebay_samples_all ORDER BY source_time").fetchall()
    return [value for (value,) in rows]


def test_samples_that_the_table_refuses_become_dead_letters(double: OracleDouble, data: Path) -> None:
    with opened(data) as archive:
        archive.intake.submit(ramp(0, 10)).result()
        until(archive.flush)
        with connect(double.url) as connection, connection.cursor() as cursor:
            cursor.execute("ALTER TABLE forebay_samples_all ADD CONSTRAINT sane CHECK (float_value <> 13)")
        archive.intake.submit(ramp(10, 10)).result()
        until(archive.flush)
        (letter,) = [letter for letter in archive.dead_letters.list() if letter.lane == "site"]
        assert archive.dead_letters.samples(letter.id).source_time.tolist() == [T0 + 13_000_000_000]
        assert "ORA-02290" in letter.reason
    assert values(double) == [float(i) for i in range(20) if i != 13]


def test_an_outage_under_load_loses_and_doubles_nothing(double: OracleDouble, data: Path) -> None:
    with opened(data) as archive:
        for number in range(30):
            archive.intake.submit(ramp(number * 50, 50)).result()
            if number == 10:
                double.kill()
            if number == 20:
                double.start()
                double.fault("lose_reply")
        until(archive.flush)
        assert archive.dead_letters.list() == []
    assert values(double) == [float(i) for i in range(1500)]


def test_a_copy_fills_oracle_from_the_lake(double: OracleDouble, data: Path) -> None:
    text = (data / "forebay.toml").read_text()
    (data / "forebay.toml").write_text(text.replace('backends = ["lake", "site"]', 'backends = ["lake"]'))
    with opened(data) as archive:
        archive.intake.submit(ramp(0, 12_000)).result()
        until(archive.flush)
    (data / "forebay.toml").write_text(text)
    for stored, present in ((12_000, 0), (0, 12_000)):
        with opened(data) as archive:
            until(archive.wait_ready)
            receipt = archive.copy("lake", "site", ALWAYS)
        assert (receipt.read, receipt.stored, receipt.duplicates) == (12_000, stored, present)
    assert values(double) == [float(i) for i in range(12_000)]


def test_the_review_names_the_files_of_the_lake(
    double: OracleDouble, data: Path, forebay: Callable[..., object]
) -> None:
    with opened(data) as archive:
        archive.intake.submit(ramp(0, 10)).result()
        archive.intake.submit(ramp(DAY_NS // 1_000_000_000, 10)).result()
        until(archive.flush)
    done = forebay("oracle", "ddl", "--data", data, "--hybrid-before", "2026-01-02T00:00:00Z")
    assert done.code == 0, done.errors
    day = next((data / "lake").glob("group=*/day=2026-01-01/bucket=*/*.parquet"))
    assert f"AS '{day.parent}';" in done.text
    assert f"EXTERNAL LOCATION (forebay_hybrid_all_0:'{day.name}')" in done.text
    assert "day=2026-01-02" not in done.text
    assert "CREATE USER scada " in done.text
    assert "PARTITION BY RANGE (source_time) INTERVAL (86400000000000)" in done.text
    assert "-- ALTER TABLE forebay_samples_all DROP PARTITION FOR (86400000000000) UPDATE INDEXES;" in done.text
    assert "tiger" not in done.text


def test_the_review_of_an_archive_without_oracle_says_what_to_configure(
    tmp_path: Path, forebay: Callable[..., Any]
) -> None:
    done = forebay("oracle", "ddl", "--data", tmp_path)
    assert done.code == 2
    assert "no backend in Oracle" in done.errors
    assert "oracle+oracledb://user@host:1521?service_name=name" in done.errors
