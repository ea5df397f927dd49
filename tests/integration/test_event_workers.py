"""Rules on Faust workers, with a real Kafka: what they find becomes alarms, and no kill loses or doubles an event."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.service import COMMAND, running_service, until

pytest.importorskip("faust", reason="faust-streaming is not installed (the extra faust)")

SCRIPT = Path(__file__).parents[2] / "scripts" / "event_kill_test.py"
RULES = """
[[rules]]
name = "hot"
kind = "threshold"
elements = "T*"
above = 80.0
alarm = "alert"
text = "{key} is at {value}"

[[rules]]
name = "quiet"
kind = "stale"
elements = "Q*"
after = "100ms"
alarm = "warning"
"""


@pytest.fixture
def data(tmp_path: Path, kafka: Any) -> Path:
    from archiver.testing.kafka import PASSWORD, USER  # it needs the client of Kafka

    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "rules.toml").write_text(RULES)
    name = f"{tmp_path.name}-{time.time_ns()}"
    (folder / "forebay.toml").write_text(
        f'[journal]\nkind = "kafka"\nservers = "127.0.0.1:{kafka.port_with_password}"\n'
        f'topic = "{name}"\nreplication = 1\n[journal.client]\n"security.protocol" = "SASL_PLAINTEXT"\n'
        f'"sasl.mechanism" = "PLAIN"\n"sasl.username" = "{USER}"\n"sasl.password" = "{PASSWORD}"\n'
        f'[events]\nrules = ["rules.toml"]\ntopic = "{name}-events"\n'
    )
    return folder


@contextmanager
def running_worker(folder: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*COMMAND, "events", "worker", "--config", str(folder / "forebay.toml"), "--data", str(folder), *flags]
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(SOON_S)
        finally:
            process.kill()
            process.wait()


@pytest.mark.timeout(7200)
def test_alarms_come_from_workers_and_a_kill_of_both_repeats_none(data: Path) -> None:
    def get(path: str) -> Any:
        return httpx.get(service.url + path, timeout=SOON_S).raise_for_status().json()

    def send(element: str, value: float) -> None:
        sample = {"element": element, "source_time": time.time_ns(), "value": value}
        httpx.post(f"{service.url}/v1/samples", json=[sample], timeout=SOON_S).raise_for_status()

    def seen() -> set[tuple[str, str]]:
        return {(event["key"], event["kind"]) for event in get("/v1/events?start=now-1h")["events"]}

    with running_service(data) as service:
        with running_worker(data) as worker:
            send("T1", 85.0)
            send("Q1", 1.0)
            until(lambda: {("T1", "came"), ("Q1", "came")} <= seen())  # the second one by silence
            worker.kill()
        (alarm,) = (row for row in get("/v1/alarms")["alarms"] if row["rule"] == "hot")
        assert (alarm["state"], alarm["text"]) == ("active_unacknowledged", "T1 is at 85")
        send("T1", 20.0)
        service.kill()
    (port,) = free_ports(1)
    with running_service(data) as service, running_worker(data, "--metrics-port", str(port)):
        until(lambda: ("T1", "gone") in seen())
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=SOON_S).text
        found = {family.name: family for family in text_string_to_metric_families(metrics)}
        assert found["forebay_worker_shards"].samples[0].value == 8
        assert len(found["forebay_worker_lag"].samples) == 9
        assert found["forebay_worker_recovery_seconds"].samples[0].value > 0
        until(lambda: len(get("/v1/samples?element=event:hot:*&start=now-1h")["samples"]) == 2)
        assert get("/v1/rules")["status"]["trouble"] == ""
        changes = get(f"/v1/alarms/{alarm['id']}/transitions")["transitions"]
        assert [row["change"] for row in changes] == ["came", "gone"]
        refused = httpx.put(
            f"{service.url}/v1/rules/other", json={"kind": "threshold", "elements": ["P*"], "above": 1.0}
        )
        assert refused.status_code in (400, 422)
        assert "workers" in refused.text
    assert (data / "worker.log").read_text().count("Traceback") == 0


@pytest.mark.timeout(7200)
def test_kills_of_workers_and_broker_lose_and_double_no_event(kafka: Any) -> None:
    words = [sys.executable, SCRIPT, "--samples", "60000", "--workers", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none lost, none doubled" in done.stdout
