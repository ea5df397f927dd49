"""A real SMTP server: encryption, logging in, refusals, and what a person gets to read."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("aiosmtpd", reason="aiosmtpd is not installed (pip install aiosmtpd)")

from archiver import config
from archiver.model import ConfigurationError, PermanentError, TransientError
from archiver.testing import mail
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.service import until
from services.events.notify.kinds.mail import MailNotifier, MailOptions
from services.events.notify.notice import ACKNOWLEDGED, GONE, Group

TO = ["ops@example.org"]


@pytest.fixture
def port():
    return free_ports(1)[0]


def options(port, **more):
    fixed = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "forebay@example.org", "to": TO}
    fixed["timeout"] = f"{SOON_S:g}s"
    return {**fixed, **more}


def send(given, *notices, fresh=None, **more):
    told = frozenset(n.id for n in notices) if fresh is None else fresh
    MailNotifier("ops", MailOptions.model_validate(given)).send(Group("ops", more, notices, told))


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_it_is_encrypted_before_the_password_is_said(notice, authority, port, tmp_path, security):
    password = tmp_path / "password"
    password.write_text(mail.PASSWORD)
    login = {"security": security, "user": mail.USER, "password_file": password}
    context = authority.server_context("mail")
    with mail.running_server(port, security=security, context=context, login=True) as boxes:
        with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
            send(options(port, **login), notice("a"))
        send(options(port, **login, ca_file=authority.certificate), notice("a"))
        with pytest.raises(TransientError, match="530"):
            send(options(port, security=security, ca_file=authority.certificate), notice("a"))
    assert len(boxes.mails) == 1


def test_without_starttls_nothing_is_said_in_clear(notice, port, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", mail.PASSWORD)
    with mail.running_server(port) as boxes, pytest.raises(TransientError, match="STARTTLS"):
        send(options(port, security="starttls", user=mail.USER, password_env="MAIL_PASSWORD"), notice("a"))
    assert boxes.mails == []


def test_a_password_in_clear_is_refused_by_the_configuration():
    table = {"name": "ops", "kind": "mail", **options(25, host="mail.example.org", user="x")}
    with pytest.raises(ConfigurationError, match="a password would go in clear"):
        config.parse({"notify": [table]})
    with pytest.raises(ConfigurationError, match=re.escape("notify[0].to[0] = 'ops': not an address")):
        config.parse({"notify": [{**table, "user": "", "to": ["ops"]}]})


def test_what_a_person_reads(notice, port):
    with mail.running_server(port) as boxes:
        came = notice("a", value=92.5, text="T1 is too <hot>", link="https://archive.example/#a")
        old = notice("b", ACKNOWLEDGED, by="ann", comment="on my way")
        send(options(port, timezone="Europe/Berlin"), came, old, fresh={came.id}, rule="hot")
    (got,) = boxes.mails
    assert got["Subject"] == "[came, alert] T1 is too <hot>"
    assert (got["From"], got["To"]) == ("forebay@example.org", "ops@example.org")
    assert got["Auto-Submitted"] == "auto-generated"
    text = got.get_body(("plain",)).get_content()
    assert "New (1)" in text
    assert "CAME  T1 is too <hot>" in text
    assert "value 92.5" in text
    assert re.search(r"came \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0[12]:00", text)
    assert "Still standing (1)" in text
    assert 'by ann "on my way"' in text
    page = got.get_body(("html",)).get_content()
    assert '<a href="https://archive.example/#a">T1 is too &lt;hot&gt;</a>' in page


def test_a_conversation_and_a_message_that_is_sent_again(notice, port):
    one, two = notice("a"), notice("a", GONE)
    with mail.running_server(port) as boxes:
        for notices in ((one,), (one,), (two,)):
            send(options(port), *notices)
    ids = [got["Message-ID"] for got in boxes.mails]
    assert ids[0] == ids[1] != ids[2], "the second is the first once more"
    assert len({got["References"] for got in boxes.mails}) == 1


def test_a_flood_is_summed_up(notice, port):
    notices = [notice(f"a{number}") for number in range(250)] + [notice("b", GONE)]
    with mail.running_server(port) as boxes:
        send(options(port), *notices, rule="hot")
    assert boxes.mails[0]["Subject"] == "[250 came, 1 gone] hot"
    text = boxes.mails[0].get_body(("plain",)).get_content()
    assert "New (251)" in text
    assert "... and 151 more" in text
    assert "text of a150" not in text


def test_nobody_gets_a_header_or_a_script_into_a_mail(notice, port):
    nasty = notice("a", text="x\r\nBcc: all@example.org\n<script>", link="javascript:alert(1)")
    with mail.running_server(port) as boxes:
        send(options(port), nasty)
    (got,) = boxes.mails
    assert got["Bcc"] is None
    assert "<script" not in got.get_body(("html",)).get_content()
    assert "href" not in got.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ({"ops@example.org": "550 no such user"}, PermanentError),
        ({"ops@example.org": "450 greylisted"}, TransientError),
        ({"data": "554 spam"}, PermanentError),
        ({"data": "451 later"}, TransientError),
        ({"data": "552 too large"}, PermanentError),
    ],
)
def test_what_a_server_refuses_for_good_and_what_for_now(notice, port, replies, error):
    with mail.running_server(port) as boxes:
        boxes.replies = replies
        with pytest.raises(error, match=next(iter(replies.values()))):
            send(options(port), notice("a"))
        assert boxes.mails == []


def test_a_recipient_that_is_refused_is_named_and_the_others_get_it(notice, port):
    with mail.running_server(port) as boxes:
        boxes.replies = {"gone@example.org": "550 no such user"}
        with pytest.raises(PermanentError, match=r"gone@example\.org: 550 no such user; the others have it"):
            send(options(port, to=["gone@example.org", "ops@example.org"]), notice("a"))
        assert len(boxes.mails) == 1


def test_a_channel_from_alarm_to_mail(house, notice, port):
    with mail.running_server(port) as boxes:
        house.use({"kind": "mail", **options(port)})
        house.tell(notice("a"))
        until(lambda: boxes.mails)
        house.tell(notice("a", GONE))
        until(lambda: len(boxes.mails) == 2)
    assert [got["Subject"].split("]")[0] for got in boxes.mails] == ["[came, alert", "[gone, alert"]
