"""`forebay up` as it is run: keys that come and go meanwhile, commands beside it, encrypted connections."""

import contextlib
import ssl
import subprocess

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from archiver.security import AuditLog, Caller, Principal
from archiver.security.keys import LOCAL_FILE
from archiver.testing.authority import Authority
from archiver.testing.patience import SOON_S
from archiver.testing.service import COMMAND, running_service

LINE = b"m,element=T1 value=20.5"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_keys_come_and_go_while_it_runs_and_commands_go_on(tmp_path, forebay, monkeypatch):
    monkeypatch.delenv("FOREBAY_KEY", raising=False)
    data = ("--data", tmp_path)
    with running_service(tmp_path) as service:
        assert httpx.post(f"{service.url}/write", content=LINE).status_code == 204
        made = forebay("keys", "create", "grafana", "--role", "read", "--group", "all", "--expires", "90d", *data)
        key = made.text.strip()
        assert "only time" in made.errors
        assert "needs a key" in made.errors
        assert httpx.get(f"{service.url}/v1/groups").status_code == 401
        assert httpx.get(f"{service.url}/v1/groups", headers=bearer(key)).status_code == 200
        assert httpx.post(f"{service.url}/write", content=LINE, headers=bearer(key)).status_code == 403
        assert forebay("ledger", *data).code == 0, "the user who runs it needs no key"
        monkeypatch.setenv("FOREBAY_KEY", key)
        assert "all" in forebay("elements", "*", *data).text or forebay("elements", "*", *data).code == 0
        refused = forebay("copy", "lake", "warm", "--from", "now-1h", *data)
        assert refused.code == 1
        assert "needs the role operate" in refused.errors
        monkeypatch.delenv("FOREBAY_KEY")
        local = tmp_path / LOCAL_FILE
        hidden = local.read_text()
        local.write_text("another")
        unknown = forebay("ledger", *data)
        assert (unknown.code, "FOREBAY_KEY" in unknown.errors) == (1, True)
        local.write_text(hidden)
        assert "valid" in forebay("keys", "list", *data).text
        assert forebay("keys", "revoke", "grafana", *data).code == 0
        assert httpx.get(f"{service.url}/v1/groups", headers=bearer(key)).status_code == 401
    assert not local.exists()
    shown = forebay("audit", "show", *data).text
    for action in ("start", "create key", "revoke key", "refused", "stop"):
        assert action in shown
    assert key not in shown
    checked = forebay("audit", "verify", *data)
    assert (checked.code, "as they were written" in checked.text) == (0, True)


def test_keys_are_made_without_a_running_archive_and_mistakes_are_named(tmp_path, forebay):
    data = ("--data", tmp_path / "new")
    assert forebay("keys", "create", "first", "--role", "administer", *data).code == 0
    wrong = forebay("keys", "create", "other", "--role", "read", "--group", "al", *data)
    assert (wrong.code, "did you mean 'all'" in wrong.errors) == (2, True)
    assert forebay("keys", "create", "first", "--role", "read", *data).code == 2
    assert forebay("keys", "revoke", "nobody", *data).code == 2
    log = AuditLog(tmp_path / "new")
    log.record(Caller(Principal.of("oidc:\x1b[2Jnobody", [])), "describe", element="a\nb")
    shown = forebay("audit", "show", "--last", "1", *data).text
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2
    file = next((tmp_path / "new" / "audit").glob("*.jsonl"))
    file.write_text(file.read_text().replace("administer", "read", 1))
    broken = forebay("audit", "verify", *data)
    assert broken.code == 1
    assert "record 1 was changed" in broken.text


def test_it_refuses_to_be_open_to_other_machines(tmp_path):
    started = subprocess.run(
        [*COMMAND, "up", "--data", str(tmp_path), "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert started.returncode == 2
    assert "forebay keys create" in started.stderr
    assert "ready" not in started.stdout


# -- encrypted ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def configured(tmp_path, authority, **more):
    certificate, key = authority.issue("archive")
    table = {"certificate": certificate, "key": key, **more}
    (tmp_path / "forebay.toml").write_text(
        "[tls]\n" + "".join(f'{name} = "{value}"\n' for name, value in table.items())
    )
    return tmp_path


def context(authority, *, client=None, newest=None):
    made = ssl.create_default_context(cafile=authority.certificate)
    if client is not None:
        made.load_cert_chain(*client)
    if newest is not None:
        made.maximum_version = newest
    return made


def test_connections_are_encrypted_and_commands_trust_just_this_certificate(tmp_path, authority, forebay):
    with running_service(configured(tmp_path, authority)) as service:
        assert service.url.startswith("https://")
        assert httpx.get(f"{service.url}/health/live", verify=context(authority)).status_code == 200
        with pytest.raises(httpx.ConnectError, match="verify failed"):
            httpx.get(f"{service.url}/health/live")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{service.url.replace('https', 'http')}/health/live")
        assert forebay("ledger", "--data", tmp_path).code == 0


def test_an_old_version_of_tls_is_refused(tmp_path, authority):
    with running_service(configured(tmp_path, authority, minimum="1.3")) as service:
        assert httpx.get(f"{service.url}/health/live", verify=context(authority)).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{service.url}/health/live", verify=context(authority, newest=ssl.TLSVersion.TLSv1_2))


def test_only_clients_with_a_certificate_of_the_authority_are_let_in(tmp_path, authority, forebay, monkeypatch):
    client = authority.issue("client")
    with running_service(configured(tmp_path, authority, client_ca=authority.certificate)) as service:
        assert httpx.get(f"{service.url}/health/live", verify=context(authority, client=client)).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{service.url}/health/live", verify=context(authority))
        monkeypatch.setenv("FOREBAY_CLIENT_CERTIFICATE", str(client[0]))
        monkeypatch.setenv("FOREBAY_CLIENT_KEY", str(client[1]))
        assert forebay("ledger", "--data", tmp_path).code == 0


def test_a_certificate_that_cannot_be_used_is_named(tmp_path, authority):
    configured(tmp_path, authority, certificate=authority.issue("other")[0])
    with pytest.raises(RuntimeError, match=r"tls\.certificate, tls\.key = "), running_service(tmp_path):
        pass


# -- what has no end ----------------------------------------------------------------------------------


def test_who_watches_needs_a_key_and_is_sent_away_when_it_ends(tmp_path, forebay):
    data = ("--data", tmp_path)
    watcher = forebay("keys", "create", "watcher", "--role", "read", *data).text.strip()
    gateway = forebay("keys", "create", "gateway", "--role", "ingest", *data).text.strip()
    with running_service(tmp_path) as service:
        address = f"{service.url.replace('http', 'ws')}/v1/live?element=T1"
        for key, status in ((None, 401), ("wrong", 401), (gateway, 403)):
            headers = {} if key is None else bearer(key)
            with pytest.raises(InvalidStatus) as refused:
                connect(address, additional_headers=headers, proxy=None)
            assert refused.value.response.status_code == status
            assert httpx.get(f"{service.url}/v1/live?element=T1", headers=headers).status_code == status
        with connect(address, additional_headers=bearer(watcher), proxy=None) as socket:
            assert '"event":"latest"' in socket.recv(SOON_S)
            forebay("keys", "revoke", "watcher", *data)

            def watch_on():
                while True:
                    httpx.post(f"{service.url}/write", content=LINE, headers=bearer(gateway)).raise_for_status()
                    with contextlib.suppress(TimeoutError):
                        socket.recv(0.1)

            with pytest.raises(ConnectionClosed) as closed:
                watch_on()
            assert closed.value.rcvd.code == 1008
