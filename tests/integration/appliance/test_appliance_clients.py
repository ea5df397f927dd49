"""The clients that control rooms use, as published, asking a running archive: they understand what is recorded.

`scripts/install-clients` installs them; without it these tests are skipped.
"""

import json
import os
import subprocess
from pathlib import Path

import appliance_gold
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Kind, Metadata, SampleBatch, Status
from archiver.testing.service import running_service

HERE = Path(__file__).parent
INSTALLED = HERE.parents[2] / ".cache" / "clients"
NANOSECONDS = 10**9


def recorded(name):
    answer = json.loads((appliance_gold.RECORDINGS / "answers" / f"{name}.json").read_bytes())
    return answer[0]["data"]


def between(rows, start, end):
    """The last row at or before the start, and all up to the end."""
    at = {row["secs"] * NANOSECONDS + row["nanos"]: row for row in rows}
    before = [row for time, row in at.items() if time <= start * NANOSECONDS][-1:]
    return before + [row for time, row in at.items() if start * NANOSECONDS < time <= end * NANOSECONDS]


START, END = 1772323260, 1772323380
DOUBLES = recorded("dbl")
WAVES = between(recorded("wfd"), START, END)
INTEGERS = between(recorded("int"), START, END)
STATES = between(recorded("enum"), START, END)
TEXTS = between(recorded("str"), START, END)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Run an archive with the recorded samples, an enumeration with names, and a PV that is disconnected."""
    directory = tmp_path_factory.mktemp("clients")
    lane = {"flush_interval": "20ms"}
    backends = [{"name": "lake", "kind": "parquet", "lane": lane}]
    with Archive(config.parse({"data": str(directory), "backends": backends})) as archive:
        appliance_gold.describe(archive)
        archive.catalog.describe("GOLD:VALVE", Metadata(kind=Kind.ENUM, states={0: "closed", 1: "open"}))
        valve = SampleBatch.from_columns("GOLD:VALVE", [START * NANOSECONDS], [1], kind=Kind.ENUM)
        lost = SampleBatch.from_columns("GOLD:LOST", [START * NANOSECONDS], [None], status=int(Status.DISCONNECTED))
        for batch in (*appliance_gold.recorded_batches(), valve, lost):
            archive.intake.submit(batch).result()
    with running_service(directory) as service:
        yield service.url


@pytest.fixture(scope="module")
def ask(url):
    """Give a function that runs a script in the environment of some clients, and returns what it printed."""

    def run(script, environment="clients"):
        python = INSTALLED / environment / "bin" / "python"
        if not python.exists():
            pytest.skip(f"{python} is not here: scripts/install-clients installs the clients of the appliance")
        command = [python, "-W", "ignore", HERE / "clients" / f"ask_{script}.py", url]
        plain = {"PATH": os.environ["PATH"], "TZ": "UTC", "HOME": "/nonexistent", "MPLCONFIGDIR": "/tmp"}
        done = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def times(rows):
    return [row["secs"] * NANOSECONDS + row["nanos"] for row in rows]


def values(rows):
    return [row["val"] for row in rows]


def test_pyarchappl(ask):
    found = ask("pyarchappl")
    for pv, rows in (
        ("GOLD:DBL", DOUBLES),
        ("GOLD:INT", INTEGERS),
        ("GOLD:ENUM", STATES),
        ("GOLD:STR", TEXTS),
        ("GOLD:WFD", WAVES),
    ):
        for form in ("json", "raw"):
            understood = found[f"{form} {pv}"]
            assert [time // 10**6 for time, *_ in understood] == [time // 10**6 for time in times(rows)]
            wanted = [[row["val"], row["severity"], row["status"]] for row in rows]
            assert [row[1:] for row in understood] == wanted
    assert found["raw mean_20(GOLD:DBL)"] == found["json mean_20(GOLD:DBL)"]
    assert len(found["raw mean_20(GOLD:DBL)"]) == 8
    assert found["empty raw"] is None
    assert found["at"].keys() == {"GOLD:DBL"}
    assert found["info"]["identity"] == "forebay"
    assert found["all"] == ["GOLD:WFD", "GOLD:WFI", "GOLD:WFS"]
    assert found["status"]["status"] == "Paused"
    assert found["type"]["DBRType"] == "DBR_SCALAR_DOUBLE"
    assert found["type"]["upperAlarmLimit"] == "45.0"
    assert "GOLD:DBL" in found["details"]
    assert list(found["stores"]) == ["forebay"]


def test_aapy(ask):
    found = ask("aapy")
    for pv, rows in (("GOLD:DBL", DOUBLES), ("GOLD:INT", INTEGERS), ("GOLD:ENUM", STATES), ("GOLD:WFD", WAVES)):
        for form in ("json", "pb"):
            understood = found[f"{form} {pv}"]
            if len(understood) == len(rows) - 1:  # seconds are floats here: one 11 ns after the start seems to be on it
                rows = rows[1:]
            assert [time for time, *_ in understood] == pytest.approx([time / 1e9 for time in times(rows)], abs=1e-6)
            assert [value if len(value) > 1 else value[0] for _, value, _ in understood] == values(rows)
            assert [severity for *_, severity in understood] == [row["severity"] for row in rows]
    for form in ("json", "pb"):
        assert (
            len(found[f"{form} mean_20(GOLD:DBL)"]) == {"json": 8, "pb": 7}[form]
        )  # by pb it cuts what is after the end
        assert found[f"{form} at"][1:] == [[DOUBLES[-1]["val"]], 0]
        assert found[f"{form} state"] in ("open", "['open']")
        assert found[f"{form} empty"] == []
    assert found["all"] == ["GOLD:WFD", "GOLD:WFI", "GOLD:WFS"]
    assert [row["status"] for row in found["statuses"]] == ["Paused", "Not being archived"]
    assert found["never"] == ["GOLD:EMPTY"]
    assert found["disconnected"] == ["GOLD:LOST"]
    assert "not currently being archived" in found["pause"]["validation"]
    assert found["abort"]["status"] == "no"
    assert found["metrics"][0]["status"] == "Working"
    assert {row["name"] for row in found["metrics of one"]} >= {"Appliance Identity"}
    assert list(found["policies"]) == ["Default"]
    assert found["archive"] == [{"pvName": "NEW:PV", "status": "Archive request submitted"}]
    assert found["archived again"] == [{"pvName": "NEW:PV", "status": "Already submitted"}]
    assert found["new"] == [{"pvName": "NEW:PV", "status": "Initial sampling"}]


def test_archapp(ask):
    found = ask("archapp")
    assert found["values"] == values(DOUBLES)
    assert found["severities"] == [row["severity"] for row in DOUBLES]
    assert found["glob"] == ["GOLD:WFD"]
    assert found["snapshot"]["GOLD:DBL"]["val"] == 18.584721
    assert found["snapshot"]["GOLD:NAN"]["val"] is None
    assert found["search"] == ["GOLD:WFD", "GOLD:WFI", "GOLD:WFS"]


def test_arvpyf(ask):
    found = ask("arvpyf")
    assert found["values"] == values(DOUBLES)
    assert found["times"][0].startswith("2026-03-01T01:00:55.358024")


def test_aaclient(ask):
    found = ask("aaclient")
    assert found["search"] == ["GOLD:WFD", "GOLD:WFI", "GOLD:WFS"]
    assert [[row["secs"], row["nanos"], row["val"], row["severity"]] for row in DOUBLES] == found["raw"]
    assert len(found["plot"]) > 6  # first, least, greatest and last value of each of six bins
    assert found["plot"] == sorted(found["plot"])


def test_epicsarchiver_retrieval_client(ask):
    found = ask("retrieval_client", "clients-protobuf7")
    for pv, rows in (("GOLD:DBL", DOUBLES), ("GOLD:INT", INTEGERS), ("GOLD:STR", TEXTS), ("GOLD:WFD", WAVES)):
        wanted = [[row["val"], row["severity"], row["status"]] for row in rows]
        assert [row[0] for row in found[pv]] == times(rows)
        assert [row[1:] for row in found[pv]] == wanted
    assert found["meta"] == {"name": "GOLD:DBL", "headers": {"EGU": "C", "PREC": "2"}}
    assert found["search"] == ["GOLD:WFD", "GOLD:WFI", "GOLD:WFS"]
    assert found["searched in time"] == ["GOLD:DBL"]


def test_epicsarchiver_retrieval_client_knows_every_operator(ask):
    found = ask("retrieval_client", "clients-protobuf7")
    for filling in ("mean", "min", "max", "count", "median", "std", "jitter", "variance", "popvariance", "kurtosis"):
        assert len(found[filling]) == 8, filling
    assert len(found["skewness"]) == len(found["linear"]) == len(found["loess"]) == len(found["errorbar"]) == 8
    assert len(found["firstSample"]) == len(found["lastSample"]) == 7
    assert len(found["firstFill"]) == len(found["lastFill"]) == 8
    assert [row[1] for row in found["ncount"]] == [24]
    assert [row[1] for row in found["nth"]] == [row["val"] for row in DOUBLES[1::20]]
    assert found["flyers"] == []
    assert [row[1] for row in found["ignoreflyers"]] == values(DOUBLES)
    assert len(found["deadBand"]) < len(DOUBLES)
    assert len(found["optimized"][0][1]) == 5
    assert len(found["optimLastSample"][0][1]) == 6
    assert len(found["caplotbinning"]) == 25
    instants = [row[0] for row in found["caplotbinning"]]
    assert instants == sorted(instants)
