"""Backends stopped, started and cut off by hand, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

httpx = pytest.importorskip("httpx")
CONFIG = """
[[backends]]
name = "lake"
kind = "parquet"
lane = { flush_interval = "50ms" }

[[backends]]
name = "warm"
kind = "sql"
url = "sqlite:///warm.db"
lane = { flush_interval = "50ms" }
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "forebay.toml").write_text(CONFIG)
    return tmp_path


class Asked:
    """The service, as a client has it."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=SOON_S)

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def send(self, second: int) -> None:
        self.client.post("/v1/samples", json=[{"element": "a", "source_time": second, "value": 1}]).raise_for_status()

    def tell(self, backend: str, what: str) -> Any:
        return self.client.post(f"/v1/backends/{backend}/{what}")

    def state(self, backend: str) -> tuple[str, int]:
        rows = {row["name"]: row for row in self.client.get("/v1/backends").json()["backends"]}
        return rows[backend]["state"], rows[backend]["lag_samples"]

    def wait_for(self, backend: str, state: str, lag: int) -> None:
        assert until(lambda: self.state(backend) == (state, lag)), self.state(backend)

    def dropped(self) -> dict[str, int]:
        totals = self.client.get("/v1/ledger").json()["totals"]
        return {row["lane"]: row["count"] for row in totals if row["outcome"] == "dropped"}


@pytest.fixture
def asked(directory: Path) -> Iterator[Asked]:
    with running_service(directory) as service, Asked(service.url) as found:
        yield found


def test_a_stopped_backend_lags_and_goes_on(asked: Asked) -> None:
    asked.send(1)
    asked.wait_for("warm", "running", 0)
    assert asked.tell("warm", "stop").status_code == 204
    asked.send(2)
    asked.wait_for("lake", "running", 0)
    asked.wait_for("warm", "paused", 1)
    answer = asked.client.get(
        "/v1/samples", params={"element": "a", "start": "1970-01-01T00:00:00Z", "backend": "warm"}
    )
    assert len(answer.json()["samples"]) == 2  # what was acknowledged is readable, stored or not
    assert asked.tell("warm", "start").status_code == 204
    asked.wait_for("warm", "running", 0)


def test_what_a_backend_lacks_is_discarded_on_record(asked: Asked) -> None:
    asked.tell("warm", "stop")
    asked.send(1)
    asked.send(2)
    asked.wait_for("warm", "paused", 2)
    assert asked.tell("warm", "discard").json() == {"discarded": 2}
    assert until(lambda: asked.dropped() == {"warm": 2})
    asked.tell("warm", "start")
    asked.send(3)
    asked.wait_for("warm", "running", 0)
    assert asked.dropped() == {"warm": 2}
    told = asked.client.get("/v1/explain", params={"element": "a", "start": "1970-01-01T00:00:00Z"}).json()
    assert any("discarded" in sentence for sentence in told["sentences"])


def test_it_stays_stopped_over_a_restart(directory: Path) -> None:
    with running_service(directory) as service, Asked(service.url) as asked:
        asked.tell("warm", "stop")
    with running_service(directory) as service, Asked(service.url) as again:
        again.send(1)
        again.wait_for("warm", "paused", 1)
        again.tell("warm", "start")
        again.wait_for("warm", "running", 0)


def test_one_that_is_not_there(asked: Asked) -> None:
    for what in ("stop", "start", "discard"):
        answer = asked.tell("hot", what)
        assert answer.status_code == 404
        assert "lake, warm" in answer.json()["detail"]
