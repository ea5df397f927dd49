"""Every registered notifier, against a real server of its kind: what `[[notify]]` relies on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from archiver import registry
from archiver.model import ConfigurationError, TransientError
from archiver.model.time import NANOSECONDS, now
from archiver.testing import alertmanager, mail, mosquitto
from archiver.testing.hook import Mood, running_hook
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.postgresql import UnavailableError
from archiver.testing.service import until
from services.events.notify import Group, Grouping, Notice, Notifier
from services.events.notify.notice import ACKNOWLEDGED, CAME, GONE, SHELVED

USER, PASSWORD = mail.USER, mail.PASSWORD
PATIENT = {"timeout": f"{SOON_S:g}s"}


class Harness:
    """A server of a kind, and how to get at it: set up by a function below.

    Attributes
    ----------
    options : dict
        That lead to it, with the password.
    knows : callable
        Asks it, not through the notifier, whether it knows a standing alarm, by its id and its text.
    stop, start : callable
        End it, and start it again at the same place.
    logs_in : bool
        Whether it wants a password.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.options: dict[str, Any] = {}
        self.knows: Callable[[str, str], bool] = lambda alarm, text: False
        self.stop: Callable[[], None] = lambda: None
        self.start: Callable[[], None] = lambda: None
        self.logs_in = True

    def notifier(self, **more: Any) -> Notifier:
        plugin = registry.load(registry.NOTIFIERS, self.kind)
        made: Notifier = plugin("ops", plugin.Options.model_validate({**PATIENT, **self.options, **more}))
        return made


def _webhook(harness: Harness, stack: ExitStack, directory: Path, password: Path) -> None:
    hook = stack.enter_context(running_hook())
    harness.options = {"url": f"{hook.url}/secret-path", "token_file": password}

    def check(headers: Any) -> bool:
        return bool(headers["Authorization"] == f"Bearer {PASSWORD}")

    hook.admits = check
    harness.knows = lambda alarm, text: any(
        alarm in [n["alarm"] for n in json.loads(posted.body)["notices"]] for posted in hook.posted
    )

    def stop() -> None:
        hook.mood = Mood(lose=True)

    def start() -> None:
        hook.posted.clear()
        hook.mood = Mood()

    harness.stop, harness.start = stop, start


def _alertmanager(harness: Harness, stack: ExitStack, directory: Path, password: Path) -> None:
    server = stack.enter_context(alertmanager.running_server())
    harness.options = {"urls": [server.url], "password_file": password, "user": USER}
    harness.knows = lambda alarm, text: alarm in [alert["labels"]["alarm"] for alert in server.alerts()]
    harness.stop, harness.start = server.kill, server.start
    harness.logs_in = False


def _mail(harness: Harness, stack: ExitStack, directory: Path, password: Path) -> None:
    pytest.importorskip("aiosmtpd")
    (port,) = free_ports(1)
    running = stack.enter_context(ExitStack())
    found: list[mail.Mailboxes] = []

    def start() -> None:
        found.append(running.enter_context(mail.running_server(port, login=True)))

    def knows(alarm: str, text: str) -> bool:
        mails = [m for boxes in found for m in boxes.mails]
        return any(text in m.get_body(("plain",)).get_content() for m in mails)

    start()
    harness.options = {"host": "127.0.0.1", "port": port, "security": "none", "user": USER, "password_file": password}
    harness.options |= {"sender": "forebay@example.org", "to": ["ops@example.org"]}
    harness.knows, harness.stop, harness.start = knows, running.close, start


def _mqtt(harness: Harness, stack: ExitStack, directory: Path, password: Path) -> None:
    passwords = directory / "passwords"
    mosquitto.add_password(passwords, USER, PASSWORD)
    settings = ["allow_anonymous false", f"password_file {passwords}"]
    server = stack.enter_context(mosquitto.running_server(settings))
    harness.options = {"host": "127.0.0.1", "port": server.port, "tls": False, "user": USER, "password_file": password}

    def knows(alarm: str, text: str) -> bool:
        return mosquitto.retained(server.port, f"forebay/alarms/{alarm}", USER, PASSWORD) is not None

    harness.knows, harness.stop, harness.start = knows, server.kill, server.start


SETUPS: dict[str, Callable[[Harness, ExitStack, Path, Path], None]] = {
    "alertmanager": _alertmanager,
    "mail": _mail,
    "mqtt": _mqtt,
    "webhook": _webhook,
}
"""Kind of notifier to what sets its harness up. A new kind needs an entry: a test says so."""


@pytest.fixture(params=registry.names(registry.NOTIFIERS))
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """Lend the harness of a registered notifier."""
    kind = request.param
    if kind not in SETUPS:
        pytest.fail(f"notifier kind {kind!r} is registered and has no harness: add it to {__file__}")
    try:
        registry.load(registry.NOTIFIERS, kind)
    except ConfigurationError as exc:
        pytest.skip(str(exc))
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    made = Harness(kind)
    with ExitStack() as stack:
        try:
            SETUPS[kind](made, stack, tmp_path, password)
        except UnavailableError as exc:
            pytest.skip(str(exc))
        yield made


def notice(alarm: str, state: str = CAME, **more: Any) -> Notice:
    stands = state in (CAME, ACKNOWLEDGED)
    fields = {"alarm_class": "alert", "priority": 60, "text": f"text of {alarm}", **more}
    return Notice(alarm, "1", state, now(), now() - NANOSECONDS, stands, "hot", "plant:T1", **fields)


def group(*notices: Notice, **more: Any) -> Group:
    fields = {"labels": {"class": "alert"}, "repeat_ns": 3600 * NANOSECONDS, **more}
    return Group("ops", notices=notices, fresh=frozenset(n.id for n in notices), **fields)


def test_it_is_a_notifier(harness):
    plugin = registry.load(registry.NOTIFIERS, harness.kind)
    assert isinstance(plugin.grouping, Grouping)
    assert isinstance(harness.notifier(), Notifier)
    assert harness.notifier().name == "ops"


def test_it_tells_every_alarm_whatever_became_of_it(harness):
    harness.notifier().send(
        group(notice("a"), notice("b", ACKNOWLEDGED, by="ann"), notice("c", GONE), notice("d", SHELVED, comment="x"))
    )
    for alarm in "ab":
        until(lambda alarm=alarm: harness.knows(alarm, f"text of {alarm}"))


def test_a_message_may_be_sent_again(harness):
    message = group(notice("a"))
    harness.notifier().send(message)
    harness.notifier().send(message)
    until(lambda: harness.knows("a", "text of a"))


def test_it_repeats_what_stands(harness):
    one = notice("a")
    harness.notifier().send(Group("ops", {}, (one,), frozenset(), number=3, repeat_ns=3600 * NANOSECONDS))
    until(lambda: harness.knows("a", "text of a"))


def test_what_nobody_takes_is_worth_another_attempt(harness):
    harness.stop()
    with pytest.raises(TransientError) as caught:
        harness.notifier().send(group(notice("a")))
    assert "127.0.0.1" in str(caught.value), "it says where"
    assert PASSWORD not in str(caught.value)
    harness.start()
    assert not harness.knows("a", "text of a")
    harness.notifier().send(group(notice("a")))
    until(lambda: harness.knows("a", "text of a"))


def test_a_wrong_password_is_mended_by_somebody_and_never_shown(harness, tmp_path, caplog):
    if not harness.logs_in:
        pytest.skip(f"this {harness.kind} lets everybody in")
    caplog.set_level("DEBUG")
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed-8812")
    key = "token_file" if "token_file" in harness.options else "password_file"
    notifier = harness.notifier(**{key: wrong})
    with pytest.raises(TransientError) as caught:
        notifier.send(group(notice("a")))
    wrong.write_text(PASSWORD)
    notifier.send(group(notice("a")))
    until(lambda: harness.knows("a", "text of a"))
    for secret in (PASSWORD, "guessed-8812", "secret-path"):
        assert secret not in str(caught.value)
        assert secret not in "".join(
            r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "mail."))
        )


def test_a_missing_password_is_named(harness, tmp_path):
    key = "token_file" if "token_file" in harness.options else "password_file"
    with pytest.raises(TransientError, match=f"{key} = .*nowhere.*cannot be read: No such file"):
        harness.notifier(**{key: tmp_path / "nowhere"}).send(group(notice("a")))


def test_a_password_comes_from_the_environment(harness, monkeypatch):
    key = "token" if "token_file" in harness.options else "password"
    del harness.options[f"{key}_file"]
    notifier = harness.notifier(**{f"{key}_env": "OPS_PASSWORD"})
    with pytest.raises(TransientError, match=f"{key}_env = 'OPS_PASSWORD': there is no such variable"):
        notifier.send(group(notice("a")))
    monkeypatch.setenv("OPS_PASSWORD", PASSWORD)
    notifier.send(group(notice("a")))
    until(lambda: harness.knows("a", "text of a"))


HOSTILE = [
    "Überdruck ☢ 测试",
    'line\r\nBcc: everybody@example.org\n\n<script>alert("x")</script>',
    "\x00\x01\x1b[31m",
    "x" * 100_000,
    "http://no address\n%zz",
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=["unicode", "injection", "control", "long", "link", "empty"])
def test_it_tells_whatever_stands_in_a_text(harness, text):
    strange = notice("a", text=text, labels={"9 weird-läbel": text[:1000], "": "x"}, link=text[:1000], comment=text)
    harness.notifier().send(group(strange, notice("b"), labels={"labels.area": text[:1000]}))
    until(lambda: harness.knows("b", "text of b"))


def test_it_tells_a_flood(harness):
    notices = [notice(f"a{number}") for number in range(1500)]
    harness.notifier().send(group(*notices))
    until(lambda: harness.knows("a99", "text of a99"))


def test_alarms_of_long_ago_and_of_what_has_no_value(harness):
    old = Notice("a", "1", CAME, 0, 0, True, "hot", "T1", text="text of a", value=float("nan"))
    harness.notifier().send(group(old, Notice("b", "1", GONE, 5, 9, False, "hot", "T1", value="text")))
    until(lambda: harness.knows("a", "text of a"))


def test_channels_are_used_from_threads_of_their_own(harness):
    errors: list[Exception] = []

    def send(alarm: str) -> None:
        try:
            harness.notifier().send(group(notice(alarm)))
        except Exception as exc:  # noqa: BLE001 - shown below
            errors.append(exc)

    threads = [threading.Thread(target=send, args=(f"a{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for number in range(4):
        until(lambda number=number: harness.knows(f"a{number}", f"text of a{number}"))


def test_its_table_is_checked(harness):
    with pytest.raises(ValueError, match="Extra inputs"):
        harness.notifier(colour="red")
