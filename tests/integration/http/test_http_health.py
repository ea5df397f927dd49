"""Health over HTTP: ready and why not, started, and what is counted."""

import dataclasses
import shutil
import subprocess

import pytest
from prometheus_client import parser


def test_ready_says_why_not(service, monkeypatch):
    assert service.get("/health/live").status_code == 200
    assert service.get("/health/ready").json() == {"status": "ready", "reasons": []}
    monkeypatch.setattr("services.archive.health.DISK_FREE", 2**70)
    answer = service.get("/health/ready")
    assert answer.status_code == 503
    assert "nearly full" in answer.json()["reasons"][0]
    monkeypatch.setattr("services.archive.health.DISK_FREE", 0)
    service.archive.lanes["warm"].stop()
    (reason,) = service.get("/health/ready").json()["reasons"]
    assert "the lane of backend warm has stopped" in reason


def test_a_journal_that_is_full_is_not_ready(service, monkeypatch):
    monkeypatch.setattr("services.archive.health._NEARLY_FULL", 0)
    assert "the journal is full" in service.get("/health/ready").json()["reasons"][0]


def test_metrics_count_samples_and_requests(service):
    service.post("/v1/samples", [*service.rows(), {"element": "T1"}])
    service.archive.flush()
    text = service.get("/metrics").text
    assert 'forebay_samples_total{lane="lake",group="all",outcome="stored",reason=""} 3' in text
    assert 'forebay_samples_total{lane="intake",group="",outcome="rejected",reason="unreadable"} 1' in text
    assert 'forebay_lane_up{backend="warm"} 1' in text
    assert 'http_requests_total{method="POST",route="/v1/samples",status="200"} 1' in text


def families(service):
    """Read what is counted as a client of Prometheus does: the value of each sample, by name and labels."""
    found = parser.text_string_to_metric_families(service.get("/metrics").text)
    return {(one.name, *sorted(one.labels.items())): one.value for family in found for one in family.samples}


def test_metrics_say_how_lanes_journal_disk_jobs_and_watchers_are(service):
    service.post("/v1/samples", service.rows())
    service.archive.flush()
    counted = families(service)
    assert counted["forebay_lane_written_samples_total", ("backend", "lake")] == 3
    assert counted["forebay_lane_failures_total", ("backend", "lake")] == 0
    assert counted["forebay_dead_letters", ("backend", "warm")] == 0
    assert counted[("forebay_journal_limit_bytes",)] > counted[("forebay_journal_bytes",)]
    assert counted[("forebay_journal_oldest_seconds",)] >= 0
    assert 0 < counted[("forebay_disk_free_bytes",)] < counted[("forebay_disk_size_bytes",)]
    assert counted["forebay_jobs", ("state", "running")] == 0
    assert counted[("forebay_live_watchers",)] == 0


def test_metrics_say_what_queries_took_and_who_answered(service):
    service.post("/v1/samples", service.rows())
    service.archive.flush()
    for _ in range(3):
        assert service.get("/v1/samples", element="T1", start="2001-01-01T00:00:00Z", backend="warm").status_code == 200
    counted = families(service)
    assert counted["forebay_query_seconds_count", ("backends", "warm")] == 3
    assert counted["forebay_query_seconds_bucket", ("backends", "warm"), ("le", "+Inf")] == 3
    assert counted["forebay_query_rows_total", ("backend", "warm"), ("role", "first choice")] == 9
    assert counted["forebay_query_seconds_sum", ("backends", "warm")] > 0


def test_promtool_finds_nothing_wrong_with_the_metrics(service):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    service.post("/v1/samples", service.rows())
    service.get("/v1/samples", element="T1", start="2001-01-01T00:00:00Z")
    text = service.get("/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_it_has_started_when_every_backend_was_reached_or_has_failed_to_be(service, monkeypatch):
    assert service.get("/health/startup").json() == {"status": "started", "reasons": []}
    lane = service.archive.lanes["warm"]
    status = lane.status()
    monkeypatch.setattr(lane, "status", lambda: dataclasses.replace(status, state="starting"))
    answer = service.get("/health/startup")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["backend warm was not reached yet"])
