"""Telegraf itself writes to the service: through both of its InfluxDB outputs, and while the journal is full.

`scripts/install-telegraf` builds it; without it these tests are skipped.
"""

from __future__ import annotations

import csv
import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from archiver.model import Kind, SampleBatch, parse_time
from archiver.sources.line_protocol import decode
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.service import until

httpx = pytest.importorskip("httpx", reason="the HTTP extra is not installed")

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".cache" / "bin" / "telegraf"
TELEGRAF = str(BUILT) if BUILT.exists() else shutil.which("telegraf")
FOREBAY = Path(sys.executable).with_name("forebay")
TOTAL = "mem.total,host=plant1"
IDLE = "cpu.usage_idle,cpu=cpu-total,host=plant1"

pytestmark = pytest.mark.skipif(TELEGRAF is None, reason="Telegraf is not here; scripts/install-telegraf builds it")

AGENT = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "plant1"
[[inputs.cpu]]
  percpu = false
[[inputs.mem]]
[[outputs.file]]
  files = ["{sent}"]
  data_format = "influx"
"""
OUTPUTS = {
    "influxdb_v2": """
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "t"
  organization = "o"
  bucket = "b"
""",
    "influxdb": """
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "telegraf"
  username = "u"
  password = "p"
""",
}


@contextmanager
def service(directory: Path, port: int, journal: str = "") -> Iterator[str]:
    config = directory / "forebay.toml"
    config.write_text(f'[[backends]]\nname = "memory"\nkind = "memory"\n[journal]\nkind = "file"\n{journal}\n')
    log = directory / "forebay.log"
    command = [str(FOREBAY), "up", "--config", str(config), "--data", str(directory / "data"), "--port", str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            until(lambda: "ready http" in log.read_text() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SOON_S)


@contextmanager
def telegraf(directory: Path, output: str, url: str) -> Iterator[Path]:
    """Run it; when this is left it has flushed and stopped. Gives its log; `sent` holds the lines that it sent."""
    config, log = directory / "telegraf.conf", directory / "telegraf.log"
    config.write_text((AGENT + OUTPUTS[output]).format(sent=directory / "sent", url=url))
    with log.open("w") as out, subprocess.Popen([TELEGRAF, "--config", str(config)], stdout=out, stderr=out) as process:
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SOON_S)


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def archived(url: str, element: str) -> dict[int, float]:
    query = {"element": element, "start": "now-1h", "end": "now+1h"}
    answer = httpx.get(f"{url}/v1/samples", params=query, headers={"Accept": "text/csv"}, timeout=SOON_S)
    if answer.status_code == 404:  # not known yet
        return {}
    assert answer.status_code == 200, answer.text
    rows = csv.DictReader(io.StringIO(answer.text))
    return {parse_time(row["source_time"]): float(row["value"]) for row in rows}


def sent(directory: Path) -> SampleBatch:
    file = directory / "sent"
    text = file.read_bytes() if file.exists() else b""
    decoded = decode(text[: text.rfind(b"\n") + 1], receive_time=0)  # the last line may be half written
    assert decoded.refused == ()
    return decoded.batch


def expect_all(directory: Path, url: str) -> None:
    """Check that the archive holds just what Telegraf says that it sent, of every element."""
    batch = sent(directory)
    assert set(batch.kinds) == {Kind.FLOAT, Kind.INT}
    for element in batch.elements:
        rows = [row for row in batch.to_pylist() if row[0] == element]
        assert archived(url, element) == {time: float(value) for _, time, *_, value in rows}, element


@pytest.mark.parametrize("output", OUTPUTS)
def test_what_telegraf_sends_is_archived(tmp_path: Path, port: int, output: str) -> None:
    with service(tmp_path, port) as url:
        with telegraf(tmp_path, output, url):
            until(lambda: len(archived(url, IDLE)) >= 3)
        assert set(archived(url, TOTAL).values()) == {float(psutil.virtual_memory().total)}
        assert {name.partition(",")[0].partition(".")[0] for name in sent(tmp_path).elements} == {"cpu", "mem"}
        expect_all(tmp_path, url)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_full_journal_delays_telegraf_and_loses_nothing(tmp_path: Path, port: int, output: str) -> None:
    with ExitStack() as running:
        with service(tmp_path, port, "max_bytes = 1") as url:
            log = running.enter_context(telegraf(tmp_path, output, url))
            until(lambda: "503" in log.read_text())
            until(lambda: len(set(sent(tmp_path).source_time.tolist())) >= 4)
            assert archived(url, TOTAL) == {}
        with service(tmp_path, port) as url:  # it has room again, and Telegraf never stopped
            until(lambda: len(archived(url, TOTAL)) >= 4)
            running.close()
            expect_all(tmp_path, url)
