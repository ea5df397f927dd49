"""`forebay up` as a process: it says when it answers, drains when asked to stop, and refuses in words."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Interval
from archiver.query import Query
from archiver.testing.patience import SOON_S
from archiver.testing.service import until

UP = [sys.executable, "-c", "from archiver.cli import main; main()", "up"]
LAKE = '[[backends]]\nname = "lake"\nkind = "parquet"\n'
PLANT = '[[sources]]\nname = "plant"\nkind = "simulator"\ninterval = "20ms"\n'


@contextmanager
def running(data, *flags):
    command = [*UP, "--data", str(data), "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("ready http://127.0.0.1:"), line + process.stderr.read()
            yield process, line.split()[1]
        finally:
            process.kill()


def ask(url, path, content=None):
    body = None if content is None else json.dumps(content).encode()
    with urlopen(Request(url + path, body, {"Content-Type": "application/json"})) as answer:
        return json.loads(answer.read())


def rows(count):
    return [{"element": "T1", "source_time": 10**18 + i, "value": i} for i in range(count)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_drains_and_exits_0(tmp_path, number):
    (tmp_path / "forebay.toml").write_text(LAKE + PLANT)
    with running(tmp_path) as (process, url):
        assert ask(url, "/v1/samples", rows(10))["counts"]["buffered"] == 10
        until(lambda: len(ask(url, "/v1/elements")["elements"]) > 1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=SOON_S)
        assert (process.returncode, errors) == (0, "")
    with Archive(config.load(tmp_path / "forebay.toml", overrides={"data": str(tmp_path)})) as archive:
        assert archive.wait_ready()
        assert archive.backend_states()[0].lane.lag_samples == 0  # it was stored before the process ended
        table = archive.query(Query(("T1",), Interval(0, 2 * 10**18))).table()
        assert table["value"].to_pylist() == list(range(10))


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    (tmp_path / "forebay.toml").write_text(LAKE)
    with running(tmp_path) as (process, url):
        ask(url, "/v1/samples", rows(10))
        process.kill()
        process.wait()
    with running(tmp_path) as (_, url):
        found = ask(url, "/v1/samples?element=T1&start=1000000000000000000")
        assert [sample["value"] for sample in found["samples"]] == list(range(10))


def refused(*flags):
    done = subprocess.run([*UP, *flags], capture_output=True, text=True, timeout=SOON_S)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_second_one_on_the_same_directory_is_refused(tmp_path):
    (tmp_path / "forebay.toml").write_text(LAKE)
    with running(tmp_path) as (_, url):
        code, message = refused("--data", str(tmp_path), "--port", "0")
        assert code == 2
        assert "in use by another forebay" in message
        assert url in message


def test_a_mistake_in_the_configuration_is_told_with_key_value_and_fix(tmp_path):
    file = tmp_path / "mistake.toml"
    file.write_text('[[backends]]\nname = "lake"\nkind = "parket"\n')
    code, message = refused("--config", str(file), "--data", str(tmp_path))
    assert code == 2
    assert "parket" in message
    assert "parquet" in message


def test_a_port_in_use_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, message = refused("--data", str(tmp_path), "--port", str(port))
    assert code == 2
    assert f"server.port = {port}" in message
    assert "--port" in message


def test_sighup_reads_the_configuration_again(tmp_path):
    file = tmp_path / "forebay.toml"
    file.write_text(LAKE)
    with running(tmp_path) as (process, url):
        file.write_text(LAKE + '[[backends]]\nname = "twin"\nkind = "memory"\n' + PLANT)
        process.send_signal(signal.SIGHUP)
        until(lambda: [b["name"] for b in ask(url, "/v1/backends")["backends"]] == ["lake", "twin"])
        until(lambda: ask(url, "/v1/elements")["elements"])
        file.write_text(LAKE + "[[bakends]]\n")
        process.send_signal(signal.SIGHUP)
        assert "bakends" in until(process.stderr.readline) or "bakends" in until(process.stderr.readline)
        assert len(ask(url, "/v1/backends")["backends"]) == 2  # a mistake changes nothing


def test_the_units_of_a_source_are_known_from_the_start(tmp_path):
    (tmp_path / "forebay.toml").write_text(LAKE + PLANT)
    with running(tmp_path) as (_, url):

        def unit():
            try:
                return ask(url, "/v1/elements/metadata?element=plant%3ACOOLING%3AINLET")["unit"]
            except HTTPError:
                return None

        assert until(unit) == "degC"


def test_the_lock_tells_other_commands_where_it_answers(tmp_path):
    (tmp_path / "forebay.toml").write_text(LAKE)
    with running(tmp_path) as (process, url):
        assert json.loads((tmp_path / "lock").read_text()) == {"pid": process.pid, "url": url}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_the_compiled_line_protocol_is_brought_in_without_anybody_asking(tmp_path):
    pytest.importorskip("numba")
    with running(tmp_path) as (process, _):
        until(lambda: "llvmlite" in Path(f"/proc/{process.pid}/maps").read_text())


def test_columns_come_from_the_memory_that_the_c_library_keeps():
    serving = "import pyarrow as pa; from services.archive import serving; serving._keep_freed_memory()"
    asked = subprocess.run(
        [sys.executable, "-c", f"{serving}; print(pa.default_memory_pool().backend_name)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert asked.stdout == "system\n" or not sys.platform.startswith("linux")


def test_a_body_is_taken_in_whatever_pieces_it_comes(tmp_path):
    lines = b"".join(b"m,element=T%d value=%d %d\n" % (i % 7, i, 10**18 + i) for i in range(40_000))
    pieces = [lines[:1], lines[1:100], lines[100:70_000], lines[70_000:900_000], lines[900_000:-1], lines[-1:]]
    with running(tmp_path) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        for chunked in (False, True):
            with socket.create_connection((host, int(port)), timeout=SOON_S) as connection:
                length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(lines)}"
                connection.sendall(f"POST /write HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())
                for piece in pieces:
                    connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                    time.sleep(0.05)  # it arrives alone; nothing depends on that
                connection.sendall(b"0\r\n\r\n" if chunked else b"")
                assert connection.recv(100).startswith(b"HTTP/1.1 204")
        totals = [row for row in ask(url, "/v1/ledger")["totals"] if row["lane"] == "intake"]
        assert totals == []  # nothing was refused
        found = ask(url, "/v1/samples?element=T0&start=2001-09-09T00:00:00Z&limit=9999")["samples"]
        assert len(found) == len(range(0, 40_000, 7))
