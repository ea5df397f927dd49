"""The Python client on a running archive: columns in and out, errors as errors, long work as jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from archiver.client import Answer, Client
from archiver.model import IncompleteError, InvalidInputError, NotFoundError, Status, TransientError
from archiver.testing.service import running_service

SECOND = 10**9
START = datetime(2026, 1, 1, tzinfo=UTC)
BASE = int(START.timestamp()) * SECOND


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_service(tmp_path_factory.mktemp("client")) as service, Client(service.url) as client:
        counts = client.send("T1", BASE + np.arange(5000) * SECOND, np.arange(5000) / 4)
        assert counts["buffered"] + counts.get("stored", 0) == 5000
        client.send("P1", [BASE, BASE + SECOND], ["open", None], status=[0, int(Status.EXP_INV)])
        yield client


def test_samples_as_columns(client: Client) -> None:
    answer = client.query("T1", START, "2026-01-02T00:00:00Z")
    assert (len(answer), answer.complete, answer.missing, answer.cursor) == (5000, True, [], None)
    assert answer.parts[0]["rows"] == 5000
    assert answer.table["source_time"].to_pylist()[:2] == [BASE, BASE + SECOND]
    assert answer.arrow()["source_time"].type == pa.timestamp("ns", "UTC")
    assert "5000 rows" in repr(answer)


def test_in_pandas_and_polars(client: Client) -> None:
    pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    answer = client.query("T1", BASE, BASE + 10 * SECOND)
    frame = answer.pandas()
    assert frame["value"].sum() == 11.25
    assert str(frame["source_time"].dtype) == "datetime64[ns, UTC]"
    assert frame["source_time"][1].value == BASE + SECOND
    other = answer.polars()
    assert other["value"].sum() == 11.25
    assert other["source_time"].dtype == polars.Datetime("ns", "UTC")


class Session:
    """Takes what a Spark session takes."""

    def createDataFrame(self, table: pa.Table) -> pa.Table:  # noqa: N802 - Spark's name
        return table


def test_for_spark(client: Client) -> None:
    """Types that Spark has: it reads them in `test_lake_readers_spark`."""
    table = client.query(["P1"], START).spark(Session())
    assert table.schema.field("element").type == pa.utf8()
    assert table.schema.field("status").type == pa.int64()
    assert table["source_time"].to_pylist() == [BASE, BASE + SECOND]


def test_aggregates_wide_tables_and_plots(client: Client) -> None:
    mean = client.query("T1", START, "2026-01-01T00:01:00Z", aggregates=["mean", "count"], bucket="30s")
    assert mean.table["count"].to_pylist() == [30, 30]
    wide = client.query(["T1", "P1"], START, "2026-01-01T00:00:03Z", wide="last")
    assert wide.table.num_rows == 3
    assert len(client.query("T1", START, "2026-01-02T00:00:00Z", points=100)) <= 102


def test_pages(client: Client) -> None:
    first = client.query("T1", START, "2026-01-02T00:00:00Z", limit=3000)
    assert first.cursor
    rest = client.query("T1", START, "2026-01-02T00:00:00Z", cursor=first.cursor)
    assert (len(first), len(rest), rest.cursor) == (3000, 2000, None)


def test_latest_at_elements_backends_explain_plan(client: Client) -> None:
    assert client.latest("T1").table["value"].to_pylist() == [4999 / 4]
    assert client.at(["T1", "P1"], BASE + SECOND).table.num_rows == 2
    assert [found["element"] for found in client.elements("T*")] == ["T1"]
    assert client.backends()[0]["name"] == "lake"
    assert any("5,000" in sentence or "5000" in sentence for sentence in client.explain("T1", START))
    assert client.plan("T1", START)["steps"]


def test_a_job(client: Client, tmp_path: Path) -> None:
    job = client.later("T1", START, "2026-01-02T00:00:00Z", key="once")
    assert client.later("T1", START, "2026-01-02T00:00:00Z", key="once").id == job.id
    assert len(job.wait()) == 5000
    job.save(tmp_path / "answer.arrow")
    with (tmp_path / "answer.arrow").open("rb") as file:
        assert len(Answer.read(file)) == 5000
    job.cancel()
    with pytest.raises(NotFoundError):
        job.state()
    with pytest.raises(IncompleteError):
        client.query(["T1", "nothing"], START, require="complete")
    failing = client.later(["T1", "nothing"], START, require="complete")
    with pytest.raises(IncompleteError) as caught:
        failing.wait()
    assert caught.value.missing[0]["elements"] == ["nothing"]


def test_watching(client: Client) -> None:
    samples = client.watch("watched:*", every="0ms")
    client.send("watched:a", [BASE], [1.0])
    assert next(samples)["value"] == 1.0


def test_times_of_pandas_are_sent(client: Client) -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.date_range(START, periods=3, freq="1ms")
    client.send("stamped", times, [1, 2, 3])
    found = client.query("stamped", START, "2026-01-02T00:00:00Z")
    assert found.table["source_time"].to_pylist() == [BASE, BASE + SECOND // 1000, BASE + SECOND // 500]
    assert found.table.schema.field("value").type == pa.int64()


def test_what_is_wrong_is_raised(client: Client) -> None:
    with pytest.raises(InvalidInputError, match="soon"):
        client.query("T1", "soon")
    with pytest.raises(InvalidInputError, match="time zone"):
        client.query("T1", datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake
    with pytest.raises(NotFoundError, match="no such backend"):
        client.query("T1", START, backend="elsewhere")
    with pytest.raises(TransientError, match="does not answer"), Client("http://127.0.0.1:1") as nobody:
        nobody.backends()
