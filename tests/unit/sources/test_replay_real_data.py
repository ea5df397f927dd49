"""The public data sets beside the repository, where they are: every row becomes the samples that it holds."""

from pathlib import Path

import pytest

from archiver.model import Kind, SampleBatch, parse_time
from archiver.sources.replay import Replay, ReplayOptions


def _data() -> Path | None:
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "data").is_dir():
            return parent / "shared" / "data"
    return None


DATA = _data()
pytestmark = pytest.mark.skipif(DATA is None, reason="no folder shared/data beside the repository")


def replay(file, **options):
    chunks = list(Replay(ReplayOptions(file=DATA / file, **options)))
    assert [refusal for chunk in chunks for refusal in chunk.refused] == []
    return SampleBatch.concat([chunk.batch for chunk in chunks])


def lines(file):
    return (DATA / file).read_text().splitlines()


def test_nab():
    file = "nab/data/realKnownCause/machine_temperature_system_failure.csv"
    batch = replay(file, time="timestamp", value="value", element="T")
    expected = [line.split(",") for line in lines(file)[1:]]
    assert batch.values(Kind.FLOAT).to_pylist() == [float(value) for _, value in expected]
    assert batch.source_time.tolist() == [parse_time(f"{time}Z") for time, _ in expected]


def test_skab():
    file = "skab/valve1/0.csv"
    batch = replay(file, time="datetime", element="skab/{column}")
    assert batch.num_rows == 10 * (len(lines(file)) - 1)
    assert "skab/Volume Flow RateRMS" in batch.elements


def test_ett():
    batch = replay("ett/ETTh1.csv", time="date", value="OT", element="OT")
    assert batch.values(Kind.FLOAT).to_pylist() == [float(line.split(",")[7]) for line in lines("ett/ETTh1.csv")[1:]]


def test_air_quality():
    file = "air_quality/AirQualityUCI.csv"
    batch = replay(file, time=["Date", "Time"], missing="-200", time_zone="Europe/Rome")
    cells = [cell for line in lines(file)[1:] for cell in line.split(",")[2:]]
    assert batch.num_rows == len(cells)
    assert (batch.kind_codes == Kind.NONE).sum() == sum(float(cell) == -200 for cell in cells)
    assert batch.source_time.min() == parse_time("2004-03-10T18:00:00+01:00")


def test_cmapss():
    file = "cmapss_fd001/train_FD001.txt"
    names = ["unit", "cycle", *(f"setting{n}" for n in range(1, 4)), *(f"sensor{n}" for n in range(1, 22))]
    batch = replay(file, columns=names, time="cycle", time_unit="1h", value="sensor21", element="engine{unit}.{column}")
    assert batch.num_rows == len(lines(file))
    assert len(batch.elements) == 100
    assert batch.elements[0] == "engine1.sensor21"
    assert batch.values(Kind.FLOAT)[0].as_py() == 23.419


def test_a_compressed_series_without_times():
    file = "ucr/001_UCR_Anomaly_DISTORTED1sddb40_35000_52000_52620.txt.gz"
    assert replay(file, columns=["v"], time_unit="4ms", element="ecg").num_rows == 79_795
