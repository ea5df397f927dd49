"""Rules, events and alarms of a running archive, over HTTP and by commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

RULES = """
[[rules]]
name = "hot"
kind = "threshold"
elements = "T*"
above = 80.0
hysteresis = 2.0
alarm = "alert"
text = "{key} is at {value}"
"""
CONFIG = """
[events]
rules = ["rules.toml"]
[[alarm_classes]]
name = "trip"
priority = 100
acknowledgement = "latched"
"""
Ask = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "rules.toml").write_text(RULES)
    (folder / "forebay.toml").write_text(CONFIG)
    return folder


@pytest.fixture
def ask(data: Path) -> Iterator[Ask]:
    with running_service(data) as service:
        yield asking(service.url)


def asking(url: str) -> Ask:
    def ask(path: str, body: Any = None, method: str | None = None) -> Any:
        answer = httpx.request(method or ("GET" if body is None else "POST"), url + path, json=body, timeout=SOON_S)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    return ask


def send(ask: Ask, element: str, value: float, at: int | None = None) -> None:
    ask("/v1/samples", [{"element": element, "source_time": at or time.time_ns(), "value": value}])


def active(ask: Ask) -> list[dict[str, Any]]:
    alarms: list[dict[str, Any]] = ask("/v1/alarms?state=active")["alarms"]
    return alarms


def test_an_alarm_comes_is_acknowledged_and_goes(ask: Ask) -> None:
    send(ask, "T1", 85.0)
    until(lambda: active(ask))
    counted = ask("/v1/alarms?limit=0")
    assert (counted["alarms"], counted["matching"], counted["counts"]["active_unacknowledged"]) == ([], 1, 1)
    (alarm,) = active(ask)
    assert (alarm["state"], alarm["text"], alarm["class"]) == ("active_unacknowledged", "T1 is at 85", "alert")
    done = ask(f"/v1/alarms/{alarm['id']}/acknowledge", {"comment": "fan"}, "POST")
    assert (done["state"], done["acknowledged"]["comment"]) == ("active_acknowledged", "fan")
    send(ask, "T1", 79.0)  # within the hysteresis
    send(ask, "T1", 77.0)
    until(lambda: not active(ask))
    changes = [row["change"] for row in ask(f"/v1/alarms/{alarm['id']}/transitions")["transitions"]]
    assert changes == ["came", "acknowledged", "gone"]
    (came, gone) = ask("/v1/alarms/history?start=now-1h")["pairs"][0]
    assert (came["partner"], gone["partner"]) == (gone["id"], came["id"])
    (frame,) = ask("/v1/frames?start=now-1h&key=T1&key=T2")["frames"]
    assert ask("/v1/frames?start=now-1h&key=T2")["frames"] == []
    note = ask(f"/v1/frames/{frame['id']}/annotations", {"text": "fan stood still"}, "POST")
    assert ask("/v1/frames?start=now-1h")["frames"][0]["annotations"] == [note]
    assert ask("/v1/alarms/statistics?start=now-1h")["performance"]["alarms"] == 1


def test_events_are_archived_as_samples(ask: Ask) -> None:
    send(ask, "T1", 85.0)
    until(lambda: ask("/v1/events?start=now-1h")["events"])
    (event,) = ask("/v1/events?start=now-1h")["events"]
    until(lambda: ask("/v1/samples?element=event:*&start=now-1h")["samples"])
    (sample,) = ask("/v1/samples?element=event:*&start=now-1h")["samples"]
    assert (sample["element"], sample["source_time"]) == ("event:hot:T1", event["time"])
    assert json.loads(sample["value"])["id"] == event["id"]


def test_shelving_hides_and_gives_a_reason(ask: Ask) -> None:
    send(ask, "T1", 85.0)
    until(lambda: active(ask))
    (alarm,) = active(ask)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        ask(f"/v1/alarms/{alarm['id']}/shelve", {"reason": "", "for": "1h"}, "POST")
    assert refused.value.response.status_code in (400, 422)
    done = ask(f"/v1/alarms/{alarm['id']}/shelve", {"reason": "calibration", "for": "1h"}, "POST")
    assert (done["state"], done["shelved"]["comment"]) == ("shelved", "calibration")
    assert ask(f"/v1/alarms/{alarm['id']}/unshelve", {}, "POST")["state"] == "active_unacknowledged"


def test_a_rule_is_put_in_force_changed_and_taken_out(ask: Ask) -> None:
    send(ask, "P1", 7.0)
    rule = {"kind": "threshold", "elements": ["P*"], "above": 5.0, "alarm": "trip"}
    put = ask("/v1/rules/high", rule, "PUT")
    assert "above 5" in put["words"]
    until(lambda: active(ask))  # it begins with the latest sample of each element
    assert ask("/v1/rules/high", rule, "PUT")["number"] == 1
    assert ask("/v1/rules/high", {**rule, "above": 9.0}, "PUT")["number"] == 2
    until(lambda: not active(ask))
    ask("/v1/rules/high", method="DELETE")
    assert [version["rule"] is None for version in ask("/v1/rules/high/history")["versions"]] == [True, False, False]
    assert [rule["name"] for rule in ask("/v1/rules")["rules"]] == ["hot"]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/rules/high", {"kind": "threshold", "elements": ["P*"], "abov": 5.0}, "did you mean 'above'"),
        ("/v1/rules/high", {"kind": "condition", "elements": ["P*"], "when": "valu > 3"}, "did you mean 'value'"),
        ("/v1/rules/high", {"kind": "stale", "elements": ["P*"], "after": "5s", "alarm": "tripp"}, "no such class"),
        ("/v1/rules/hot", {"kind": "stale", "elements": ["P*"], "after": "5s"}, "rules.toml"),
        ("/v1/rules/high", {"name": "low", "kind": "stale", "elements": ["P*"], "after": "5s"}, "the address says"),
    ],
)
def test_a_wrong_rule_is_refused_and_changes_nothing(ask: Ask, path: str, body: dict[str, Any], says: str) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        ask(path, body, "PUT")
    assert refused.value.response.status_code == 400
    assert says in refused.value.response.json()["detail"]
    assert [rule["name"] for rule in ask("/v1/rules")["rules"]] == ["hot"]


def test_a_dry_run_counts_alarms_and_writes_nothing(ask: Ask) -> None:
    now = time.time_ns()
    for second, value in enumerate([1.0, 7.0, 1.0, 8.0]):
        send(ask, "P1", value, now + second)
    trial = {"rules": [{"name": "high", "kind": "threshold", "elements": ["P*"], "above": 5.0}], "start": "now-1d"}
    job = ask("/v1/rules/test", {**trial, "end": "now+1h"}, "POST")
    until(lambda: ask(f"/v1/jobs/{job['id']}")["state"] == "done")
    result = ask(f"/v1/jobs/{job['id']}/result")
    assert [event["kind"] for event in result["events"]] == ["came", "gone", "came"]
    assert result["summary"][0]["events"] == {"came": 2, "gone": 1}
    assert ask("/v1/events?start=now-1d")["events"] == []


def test_a_recalculation_takes_late_samples_in_and_keeps_what_was_written(ask: Ask) -> None:
    now = time.time_ns()
    send(ask, "T1", 85.0, now - 50_000_000_000)
    send(ask, "T1", 70.0, now - 10_000_000_000)
    until(lambda: ask("/v1/frames?start=now-1h")["frames"] and ask("/v1/frames?start=now-1h")["frames"][0]["closed"])
    (frame,) = ask("/v1/frames?start=now-1h")["frames"]
    ask(f"/v1/frames/{frame['id']}/annotations", {"text": "looked at"}, "POST")
    send(ask, "T1", 70.0, now - 30_000_000_000)  # too late for the rule
    job = ask("/v1/rules/hot/recalculate", {"start": "now-1h"}, "POST")
    until(lambda: ask(f"/v1/jobs/{job['id']}")["state"] == "done")
    (mended,) = ask("/v1/frames?start=now-1h")["frames"]
    assert (mended["id"], mended["duration_s"]) == (frame["id"], 20.0)
    assert [note["text"] for note in mended["annotations"]] == ["looked at"]
    assert ask("/v1/rules")["status"]["late"] == 1


def test_what_cannot_be_told_is_kept_tried_again_and_dropped(data: Path) -> None:
    (data / "forebay.toml").write_text(
        CONFIG
        + """
[[notify]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
group_wait = "0s"
group_interval = "0s"
retry_first = "10ms"
give_up_after = "1ms"
"""
    )
    with running_service(data) as service:
        ask = asking(service.url)
        send(ask, "T1", 85.0)
        until(lambda: ask("/v1/notifications/failed")["failed"])
        (failed,) = ask("/v1/notifications/failed?channel=hook")["failed"]
        assert (failed["notice"]["key"], "refused" in failed["reason"].lower()) == ("T1", True)
        assert ask("/v1/notifications")["channels"][0]["failed"] == 1
        ask(f"/v1/notifications/failed/{failed['id']}/retry", {}, "POST")
        until(lambda: [new["id"] for new in ask("/v1/notifications/failed")["failed"]] not in ([], [failed["id"]]))
        (again,) = ask("/v1/notifications/failed")["failed"]
        ask(f"/v1/notifications/failed/{again['id']}", method="DELETE")
        assert ask("/v1/notifications/failed")["failed"] == []


def test_rules_and_alarms_are_counted(data: Path) -> None:
    with running_service(data) as service:
        send(asking(service.url), "T1", 85.0)
        until(lambda: active(asking(service.url)))
        text = httpx.get(f"{service.url}/metrics", timeout=SOON_S).text
    assert "forebay_rules 1" in text
    assert 'forebay_alarms{state="active_unacknowledged"} 1' in text


def test_live_alarms(data: Path) -> None:
    with running_service(data) as service:
        ask = asking(service.url)
        with httpx.stream("GET", f"{service.url}/v1/alarms/live", timeout=SOON_S) as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": watching"
            send(ask, "T1", 85.0)
            line = next(line for line in lines if line.startswith("data: "))
        told = json.loads(line.removeprefix("data: "))
        assert (told["transition"]["change"], told["alarm"]["key"]) == ("came", "T1")


def test_who_watches_alarms_does_not_hold_up_the_end(data: Path) -> None:
    with running_service(data) as service, httpx.Client(timeout=SOON_S) as client:
        with client.stream("GET", f"{service.url}/v1/alarms/live") as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": watching"
            service.process.terminate()
            assert [line for line in lines if line] == []  # it ends in order: else reading fails
            service.process.wait(SOON_S)
        assert "graceful shutdown" not in service.errors()  # nothing was cut off after having been waited for


def test_alarms_outlive_a_crash(data: Path, forebay: Callable[..., Any]) -> None:
    with running_service(data) as service:
        ask = asking(service.url)
        send(ask, "T1", 85.0)
        until(lambda: active(ask))
        (alarm,) = active(ask)
        ask(f"/v1/alarms/{alarm['id']}/acknowledge", {}, "POST")
        service.kill()
    with running_service(data) as service:
        ask = asking(service.url)
        (alarm,) = active(ask)
        assert alarm["state"] == "active_acknowledged"
        send(ask, "T1", 70.0)
        until(lambda: not active(ask))
        assert [event["kind"] for event in ask("/v1/events?start=now-1h")["events"]] == ["came", "gone"]
        listed = forebay("alarms", "--data", data, "--state", "normal")
        assert "T1 is at 85" in listed.text


def test_a_file_of_rules_is_checked_before_the_archive_starts(data: Path, forebay: Callable[..., Any]) -> None:
    (data / "rules.toml").write_text(RULES.replace("above", "abov"))
    done = forebay("up", "--data", data, "--port", "0")
    assert done.code == 2
    assert "rules[0].abov = 80.0: no such key; did you mean 'above'?" in done.errors
    checked = forebay("rules", "check", data / "rules.toml")
    assert (checked.code, "did you mean 'above'" in checked.errors) == (2, True)


def test_a_dry_run_of_a_file_by_command(ask: Ask, data: Path, forebay: Callable[..., Any]) -> None:
    send(ask, "T1", 85.0)
    done = forebay("rules", "test", data / "rules.toml", "--from", "now-1h", "--to", "now+1h", "--data", data)
    assert done.code == 0, done.errors
    head, line = done.text.splitlines()
    assert head == "time,rule,element,kind,value"
    assert line.endswith(",hot,T1,came,85.0")
    assert "hot" in done.errors
