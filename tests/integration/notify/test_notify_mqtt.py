"""A real MQTT 5 broker: the last state of each alarm is there for whoever comes later."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed (the extra notify)")

from archiver import config
from archiver.model import ConfigurationError, TransientError
from archiver.testing import mosquitto
from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError
from archiver.testing.service import until
from services.events.notify.kinds.mqtt import MqttNotifier, MqttOptions
from services.events.notify.notice import ACKNOWLEDGED, GONE, Group

PATIENT = f"{SOON_S:g}s"


@pytest.fixture
def broker():
    try:
        with mosquitto.running_server() as made:
            yield made
    except UnavailableError as exc:
        pytest.skip(str(exc))


def table(port, **more):
    return {"kind": "mqtt", "host": "127.0.0.1", "port": port, "tls": False, "timeout": PATIENT, **more}


def state(broker, topic):
    found = mosquitto.retained(broker.port, topic)
    return found and json.loads(found.payload)["state"]


def test_the_last_state_of_each_alarm_is_retained(house, notice, broker):
    house.use(table(broker.port, topic="plant/{class}/{rule}/{key}"))
    one = notice("a", labels={"area": "Süd"}, value=3.5)
    house.tell(one, notice("b", key="plant:T2"))
    until(lambda: state(broker, "plant/alert/hot/plant:T1") == "came")
    found = mosquitto.retained(broker.port, "plant/alert/hot/plant:T1")
    assert json.loads(found.payload) == one.to_row()
    assert (found.qos, found.retain) == (1, True)
    assert (found.properties.ContentType, found.properties.PayloadFormatIndicator) == ("application/json", 1)
    for change in (ACKNOWLEDGED, GONE):
        house.tell(notice("a", change))
        until(lambda change=change: state(broker, "plant/alert/hot/plant:T1") == change)
    assert state(broker, "plant/alert/hot/plant:T2") == "came"


def test_changes_arrive_in_order_after_the_broker_was_away(house, notice, broker):
    broker.kill()
    house.use(table(broker.port))
    house.tell(notice("a"), notice("a", GONE), notice("a", occurrence="2"))
    until(lambda: house.status("mqtt").failures > 2)
    broker.start()
    until(lambda: state(broker, "forebay/alarms/a") == "came")
    assert json.loads(mosquitto.retained(broker.port, "forebay/alarms/a").payload)["occurrence"] == "2"


def test_over_tls_with_a_certificate(notice, authority, tmp_path):
    certificate, key = authority.issue("broker")
    settings = [f"cafile {authority.certificate}", f"certfile {certificate}", f"keyfile {key}"]
    settings += ["require_certificate true", "use_identity_as_username true"]
    mine = dict(zip(("certificate", "key"), authority.issue("archive"), strict=True))
    try:
        with mosquitto.running_server(settings) as broker:
            address = {"host": "127.0.0.1", "port": broker.port, "timeout": PATIENT}
            send(MqttOptions(**address, ca_file=authority.certificate, **mine), notice("a"))
            with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
                send(MqttOptions(**address, **mine), notice("a"))
            with pytest.raises(TransientError):
                send(MqttOptions(**{**address, "timeout": "2s"}, ca_file=authority.certificate), notice("a"))
    except UnavailableError as exc:
        pytest.skip(str(exc))


def send(options, *notices):
    """Send each notice as new."""
    MqttNotifier("ops", options).send(Group("ops", {}, notices, frozenset(n.id for n in notices)))


def test_what_the_broker_does_not_allow_is_said(notice, tmp_path):
    rights = tmp_path / "acl"
    rights.write_text("topic read #\ntopic write allowed/#\ntopic write marker/#\n")
    try:
        with mosquitto.running_server(["allow_anonymous true", f"acl_file {rights}"]) as broker:
            address = {"host": "127.0.0.1", "port": broker.port, "tls": False, "timeout": PATIENT}
            with pytest.raises(TransientError, match="refuses 2 of 2 messages: Not authorized"):
                send(MqttOptions(**address), notice("a"), notice("b"))
            send(MqttOptions(**address, topic="allowed/{alarm}"), notice("a"))
            assert state(broker, "allowed/a") == "came"
    except UnavailableError as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("topic", ["alarms/#", "alarms/{name}", "alarms/{"])
def test_a_topic_that_is_none_is_refused_by_the_configuration(topic):
    with pytest.raises(ConfigurationError, match=re.escape(f"notify[0].topic = {topic!r}")):
        config.parse({"notify": [{"name": "x", **table(1, topic=topic)}]})
