"""A webhook that fails, is slow, or is gone; and channels that do not mind each other."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading

import httpx
import pytest

from archiver import config
from archiver.model import BackpressureError, ConfigurationError, PermanentError, TransientError
from archiver.testing.hook import Mood, running_hook
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.service import until
from services.events.notify.kinds import http
from services.events.notify.kinds.webhook import WebhookNotifier, WebhookOptions
from services.events.notify.notice import GONE, Group


@pytest.fixture
def hook():
    with running_hook() as made:
        yield made


def send(notice, **options):
    one = notice("a")
    WebhookNotifier("ops", WebhookOptions(**{"timeout": f"{SOON_S:g}s", **options})).send(
        Group("ops", {}, (one,), frozenset({one.id}))
    )


def told(hook):
    """Return alarm and state of everything that was new, in order."""
    notices = [n for posted in list(hook.posted) for n in json.loads(posted.body)["notices"]]
    return [(n["alarm"], n["state"]) for n in notices if n["fresh"]]


def test_what_is_sent_and_who_signed_it(notice, hook, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("key of both\n")
    send(notice, url=f"{hook.url}/in", secret_file=secret)
    (posted,) = hook.posted
    document = json.loads(posted.body)
    assert posted.path == "/in"
    assert posted.headers["Content-Type"] == "application/json"
    assert posted.headers["Idempotency-Key"] == document["id"]
    assert (document["version"], document["channel"], document["standing"]) == (1, "ops", 1)
    assert document["notices"][0]["text"] == "text of a"
    signed = posted.headers["X-Forebay-Timestamp"].encode() + b"." + posted.body
    assert (
        posted.headers["X-Forebay-Signature"]
        == f"sha256={hmac.new(b'key of both', signed, hashlib.sha256).hexdigest()}"
    )


def test_without_a_key_nothing_is_signed(notice, hook):
    send(notice, url=hook.url)
    assert "X-Forebay-Signature" not in hook.posted[0].headers


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 409, 423, 425, 429, 500, 502, 503, 504])
def test_a_state_of_the_other_side_passes(notice, hook, status):
    hook.mood = Mood(status, body=b"not  now\n")
    with pytest.raises(TransientError, match=f"answers {status}: not now"):
        send(notice, url=hook.url)


@pytest.mark.parametrize("status", sorted(http.REFUSED))
def test_a_message_that_is_not_understood_never_will_be(notice, hook, status):
    hook.mood = Mood(status)
    with pytest.raises(PermanentError, match=f"answers {status}"):
        send(notice, url=hook.url)


@pytest.mark.parametrize(("said", "wait"), [("7", 7.0), ("999999", 3600.0)])
def test_it_says_how_long_to_wait(notice, hook, said, wait):
    hook.mood = Mood(429, {"Retry-After": said})
    with pytest.raises(BackpressureError) as caught:
        send(notice, url=hook.url)
    assert caught.value.retry_after_s == wait


def test_a_date_to_wait_for_is_left_to_the_retries(notice, hook):
    hook.mood = Mood(503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    with pytest.raises(TransientError) as caught:
        send(notice, url=hook.url)
    assert not isinstance(caught.value, BackpressureError)


def test_one_that_does_not_answer_is_left(notice, hook):
    hook.mood = Mood(gate=threading.Event())
    with pytest.raises(TransientError, match="timed out"):
        send(notice, url=hook.url, timeout="100ms")
    hook.mood.gate.set()


def test_an_address_that_is_a_secret_is_never_shown(notice, hook, monkeypatch, caplog):
    caplog.set_level("DEBUG", logger="services")
    monkeypatch.setenv("HOOK_URL", f"{hook.url}/services/T00/B11-secret")
    send(notice, url_env="HOOK_URL")
    assert hook.posted[0].path == "/services/T00/B11-secret"
    hook.mood = Mood(500, body=b"no /services/T00/B11-secret here: " + hook.url.encode() + b"/services/T00/B11-secret")
    with pytest.raises(TransientError) as caught:
        send(notice, url_env="HOOK_URL")
    assert f"{hook.url}/services/T00/B11-secret" not in str(caught.value)
    monkeypatch.setenv("HOOK_URL", "hooks.example/B11-secret")
    with pytest.raises(TransientError, match="is no address") as caught:
        send(notice, url_env="HOOK_URL")
    assert "secret" not in str(caught.value) + caplog.text


ERRORS = sorted(
    name for name in httpx.__all__ if isinstance(kind := getattr(httpx, name), type) and issubclass(kind, Exception)
)


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_of_the_client_is_one_of_ours(notice, monkeypatch, name):
    kind = getattr(httpx, name)
    error = kind.__new__(kind)
    Exception.__init__(error, "broken")

    def stream(*given, **more):
        raise error

    monkeypatch.setattr(httpx.Client, "stream", stream)
    with pytest.raises(TransientError):
        send(notice, url="http://127.0.0.1:9")


def test_its_table_needs_one_address():
    for given in ({}, {"url": "http://x", "url_env": "Y"}):
        with pytest.raises(ConfigurationError, match="needs one of url, url_file and url_env"):
            config.parse({"notify": [{"name": "x", "kind": "webhook", **given}]})
    with pytest.raises(ConfigurationError, match="url"):
        config.parse({"notify": [{"name": "x", "kind": "webhook", "url": "http://user:password@x"}]})


# -- channels ---------------------------------------------------------------------------------------------


def test_a_channel_that_is_down_delays_no_other(house, notice, hook):
    (nobody,) = free_ports(1)
    with running_hook() as slow:
        slow.mood = Mood(gate=threading.Event())
        house.use(
            {"kind": "webhook", "name": "down", "url": f"http://127.0.0.1:{nobody}"},
            {"kind": "webhook", "name": "slow", "url": slow.url, "timeout": "5m"},
            {"kind": "webhook", "name": "well", "url": hook.url},
        )
        for number in range(5):
            house.tell(notice(f"a{number}"))
            until(lambda number=number: (f"a{number}", "came") in told(hook))
        assert told(slow) == []
        until(lambda: house.status("down").failures)
        assert house.status("down").state == "retrying"
        assert f"http://127.0.0.1:{nobody}: " in house.status("down").last_error
        assert house.status("down").waiting == 5
        slow.mood.gate.set()
        until(lambda: len(set(told(slow))) == 5)


def test_what_fails_for_a_while_is_told_in_the_end(house, notice, hook):
    house.use({"kind": "webhook", "url": hook.url})
    for status in (500, 429, 404):
        hook.mood = Mood(status)
        before = len(hook.refused)
        house.tell(notice(f"a{status}"))
        until(lambda before=before: len(hook.refused) > before)
    hook.mood = Mood()
    until(lambda: len(told(hook)) == 3)
    status = until(lambda: (status := house.status("webhook")).sent and status)
    assert (status.failures, status.last_error) == (0, "")


def test_what_is_refused_is_shown_and_what_follows_is_told(house, notice, hook):
    hook.mood = Mood(422, body=b"unknown field")
    house.use({"kind": "webhook", "url": hook.url})
    house.tell(notice("a"))
    (failed,) = until(house.outbox.failed)
    assert failed.to_row()["reason"] == f"{hook.url} answers 422: unknown field"
    hook.mood = Mood()
    house.tell(notice("b"))
    until(lambda: told(hook) == [("b", "came")])
    house.outbox.retry(failed.id)
    house.notifications.wake()
    until(lambda: ("a", "came") in told(hook))


def test_a_lost_answer_is_the_same_message_again(house, notice, hook):
    hook.mood = Mood(lose=True)
    house.use({"kind": "webhook", "url": hook.url})
    house.tell(notice("a"))
    until(lambda: len(hook.posted) >= 2)
    hook.mood = Mood()
    until(lambda: house.status("webhook").sent)
    assert len({posted.headers["Idempotency-Key"] for posted in hook.posted}) == 1


def test_channels_change_while_it_runs(house, notice, hook):
    with running_hook() as other:
        one, two = ({"kind": "webhook", "name": name, "url": h.url} for name, h in (("one", hook), ("two", other)))
        assert house.use(one) == ["channel one added"]
        house.tell(notice("a"))
        until(lambda: told(hook))
        assert house.use(one, two) == ["channel two added"]
        until(lambda: told(other) == [("a", "came")])  # it begins with what stands
        assert house.use({**one, "match": {"rules": ["nothing"]}}, two) == ["channel one changed"]
        house.tell(notice("b"))
        until(lambda: len(told(other)) == 2)
        assert house.use(two) == ["channel one removed"]
        assert house.use(two) == []
        house.tell(notice("b", GONE))
        until(lambda: told(other)[2:] == [("b", "gone")])
    assert told(hook) == [("a", "came")]


def test_a_status_is_plain_values(house, notice, hook):
    hook.mood = Mood(500)
    house.use({"kind": "webhook", "url": hook.url})
    house.tell(notice("a"))
    until(lambda: house.status("webhook").failures)
    row = house.status("webhook").to_row()
    assert json.loads(json.dumps(row))["kind"] == "webhook"
    assert row["oldest"].endswith("Z")
    assert row["last_sent"] is None
