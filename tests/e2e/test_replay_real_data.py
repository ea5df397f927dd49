"""`forebay replay` over the public data sets beside the repository, where they are, and a query of what went in."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest


def _data() -> Path | None:
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "data").is_dir():
            return parent / "shared" / "data"
    return None


DATA = _data()
pytestmark = pytest.mark.skipif(DATA is None, reason="no folder shared/data beside the repository")
ALL = ("--from", "1970-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--aggregate", "count")
CMAPSS = ["unit", "cycle", *(f"setting{n}" for n in range(1, 4)), *(f"sensor{n}" for n in range(1, 22))]

# data set: file, options, a glob over its elements, how many elements and samples per line, lines of header
SETS = {
    "nab": (
        "nab/data/realKnownCause/machine_temperature_system_failure.csv",
        ["--element", "nab/T", "--time", "timestamp", "--value", "value"],
        *("nab/*", 1, 1, 1),
    ),
    "skab": ("skab/valve1/0.csv", ["--element", "skab/{column}", "--time", "datetime"], "skab/*", 10, 10, 1),
    "ett": ("ett/ETTh1.csv", ["--element", "ett/{column}", "--time", "date"], "ett/*", 7, 7, 1),
    "air quality": (
        "air_quality/AirQualityUCI.csv",
        [
            *("--element", "air/{column}", "--time", "Date", "--time", "Time"),
            *("--missing", "-200", "--time-zone", "Europe/Rome"),
        ],
        *("air/*", 13, 13, 1),
    ),
    "cmapss": (
        "cmapss_fd001/train_FD001.txt",
        [
            *("--element", "engine{unit}.{column}", "--time", "cycle", "--time-unit", "1h", "--value", "sensor21"),
            *(word for name in CMAPSS for word in ("--columns", name)),
        ],
        *("engine*", 100, 1, 0),
    ),
    "ucr": (
        "ucr/001_UCR_Anomaly_DISTORTED1sddb40_35000_52000_52620.txt.gz",
        ["--element", "ecg", "--columns", "v", "--time-unit", "4ms"],
        *("ec?", 1, 1, 0),
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_a_data_set_goes_in_and_comes_out(name: str, tmp_path: Path, forebay):
    path, options, pattern, elements, per_line, header = SETS[name]
    assert DATA is not None
    file = DATA / path
    text = gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text()
    samples = (len(text.splitlines()) - header) * per_line
    data = tmp_path / "data"
    done = forebay("replay", file, *options, "--data", data)
    assert (done.code, done.errors) == (0, "")
    assert f"buffered={samples}" in done.text
    done = forebay("query", pattern, *ALL, "--data", data)
    assert (done.code, done.errors) == (0, "")
    counts = [int(line.rpartition(",")[2]) for line in done.text.splitlines()[1:]]
    assert (len(counts), sum(counts)) == (elements, samples)
