"""A real Alertmanager: what it holds to be active, what it notifies of, and that it does not forget what stands."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from archiver.model.time import NANOSECONDS, now
from archiver.testing import alertmanager
from archiver.testing.hook import running_hook
from archiver.testing.network import free_ports
from archiver.testing.postgresql import UnavailableError
from archiver.testing.service import until
from services.events.notify.notice import ACKNOWLEDGED, GONE, SHELVED


@pytest.fixture
def hook():
    with running_hook() as made:
        yield made


@pytest.fixture
def server(hook):
    try:
        with alertmanager.running_server(hook.url) as made:
            yield made
    except UnavailableError as exc:
        pytest.skip(str(exc))


def heard(hook):
    """Return alarm and status of every alert that Alertmanager has notified of."""
    bodies = [json.loads(posted.body) for posted in list(hook.posted)]
    return {(alert["labels"]["alarm"], alert["status"]) for body in bodies for alert in body["alerts"]}


def active(server):
    return {alert["labels"]["alarm"]: alert for alert in server.alerts()}


def table(*urls, **more):
    return {"kind": "alertmanager", "urls": list(urls), "labels": {"site": "north"}, **more}


def test_what_comes_fires_and_what_goes_is_resolved(house, notice, server, hook):
    house.use(table(server.url))
    house.tell(notice("a", value=3.5, link="https://archive.example/#a"), notice("b", labels={"area": "Süd"}))
    until(lambda: {("a", "firing"), ("b", "firing")} <= heard(hook))
    alert = active(server)["a"]
    assert alert["labels"] == {
        "alertname": "hot",
        "alarm": "a",
        "key": "plant:T1",
        "class": "alert",
        "severity": "alert",
        "priority": "60",
        "site": "north",
    }
    assert alert["annotations"] == {"summary": "text of a", "value": "3.5", "state": "came", "occurrence": "1"}
    assert alert["generatorURL"] == "https://archive.example/#a"
    assert active(server)["b"]["labels"]["area"] == "Süd"
    house.tell(notice("a", GONE), notice("b", SHELVED, by="ann", labels={"area": "Süd"}))
    until(lambda: {("a", "resolved"), ("b", "resolved")} <= heard(hook))
    assert active(server) == {}


def test_an_alarm_stays_one_alert_whatever_becomes_of_it(house, notice, server):
    house.use(table(server.url))
    house.tell(notice("a"))
    first = until(lambda: active(server).get("a"))
    house.tell(notice("a", ACKNOWLEDGED, by="ann", comment="seen"))
    second = until(lambda: next((x for x in server.alerts() if x["annotations"]["state"] == "acknowledged"), None))
    assert (second["fingerprint"], second["startsAt"]) == (first["fingerprint"], first["startsAt"])
    assert (second["annotations"]["by"], second["annotations"]["comment"]) == ("ann", "seen")


def test_what_stands_is_told_again_before_it_is_forgotten_and_forgotten_once_it_is_not(house, notice, server):
    house.use(table(server.url, repeat_interval="500ms"))
    house.tell(notice("a"))
    first = until(lambda: active(server).get("a"))
    until(lambda: house.status("alertmanager").sent >= 10)  # it holds for 2 s, so it would be gone by now
    again = until(lambda: active(server).get("a"))
    assert again["endsAt"] > first["endsAt"]
    assert again["startsAt"] == first["startsAt"]
    house.use()
    until(lambda: active(server) == {})


def test_it_learns_everything_after_it_was_away(house, notice, server, hook):
    server.kill()
    house.use(table(server.url))
    house.tell(notice("a"), notice("b"))
    until(lambda: house.status("alertmanager").failures > 2)
    house.tell(notice("b", GONE), notice("c"))
    server.start()
    until(lambda: {("a", "firing"), ("c", "firing")} <= heard(hook))
    assert set(active(server)) == {"a", "c"}
    until(lambda: house.status("alertmanager").waiting == 0)


def test_one_member_of_the_cluster_is_enough(house, notice, server, caplog):
    (nobody,) = free_ports(1)
    house.use(table(f"http://127.0.0.1:{nobody}", server.url))
    house.tell(notice("a"))
    until(lambda: active(server).get("a"))
    until(lambda: house.status("alertmanager").sent)
    assert house.status("alertmanager").failures == 0
    assert f"a member of the cluster is not told: http://127.0.0.1:{nobody}" in caplog.text


def test_what_has_gone_by_a_clock_that_is_ahead_has_gone_now(house, notice, server):
    ahead = now() + 3600 * NANOSECONDS
    house.use(table(server.url))
    came = notice("a")
    house.tell(came)
    until(lambda: active(server).get("a"))
    house.tell(replace(came, state=GONE, time=ahead, stands=False))
    until(lambda: active(server) == {})
