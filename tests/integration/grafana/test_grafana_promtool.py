"""Clients of Prometheus' own: promtool asks the archive, and a Prometheus server scrapes what it counts."""

import json
import shutil
import socket
import subprocess

import httpx
import pytest

from archiver.testing.service import running_service, until

T0 = 1_767_225_600
S = 10**9


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Run an archive with a minute's samples."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    with running_service(tmp_path_factory.mktemp("promtool")) as service:
        rows = [{"element": "VAC:P1", "source_time": (T0 + i) * S, "value": i + 0.5} for i in range(60)]
        assert httpx.post(f"{service.url}/v1/samples", json=rows).status_code == 200
        yield service.url


def promtool(*words):
    done = subprocess.run(["promtool", "query", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_range(url):
    words = ["range", "--format=json", f"--start={T0}", f"--end={T0 + 60}", "--step=20s"]
    code, out, errors = promtool(*words, url, "max_over_time(VAC:P1[20s])")
    assert code == 0, errors
    assert json.loads(out) == [
        {
            "metric": {"element": "VAC:P1", "group": "all"},
            "values": [[T0 + 20, "19.5"], [T0 + 40, "39.5"], [T0 + 60, "59.5"]],
        }
    ]


def test_an_instant_and_a_number(url):
    code, out, errors = promtool("instant", "--format=json", f"--time={T0 + 30}", url, "VAC:P1")
    assert code == 0, errors
    assert json.loads(out)[0]["value"] == [T0 + 30, "30.5"]
    assert promtool("instant", url, "1+1")[1].startswith("scalar: 2 @[")


def test_series_and_labels(url):
    code, out, errors = promtool("series", '--match={group="all"}', url)
    assert code == 0, errors
    assert 'element="VAC:P1"' in out
    code, out, errors = promtool("labels", url, "element")
    assert code == 0, errors
    assert "VAC:P1" in out.splitlines()


def test_an_error_is_understood(url):
    code, _, errors = promtool("instant", url, "rate(VAC:P1[5m])")
    assert code != 0
    assert "bad_data: the function rate is not understood here" in errors


def test_a_prometheus_server_scrapes_the_archive(url, tmp_path):
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("prometheus is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    job = {"job_name": "forebay", "scrape_interval": "1s", "static_configs": [{"targets": [url.partition("//")[2]]}]}
    (tmp_path / "prometheus.yaml").write_text(json.dumps({"scrape_configs": [job]}))
    command = [prometheus, f"--config.file={tmp_path}/prometheus.yaml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
        try:
            assert until(lambda: scraped(address)) == "1"
        finally:
            process.terminate()
            process.wait()


def scraped(address):
    """Return what the server says of a lane; empty before it has asked."""
    try:
        answer = httpx.get(f"http://{address}/api/v1/query", params={"query": 'forebay_lane_up{backend="lake"}'})
    except httpx.TransportError:
        return ""
    found = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return found[0]["value"][1] if found else ""
