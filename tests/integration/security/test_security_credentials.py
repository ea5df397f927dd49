"""How callers prove who they are, what happens when they cannot, and what is open to whom by default."""

import base64

import pytest

from archiver.config import LAST_RUN_FILE
from archiver.model import ConfigurationError, TransientError
from archiver.security import Role
from archiver.security.keys import FILE, LOCAL_FILE
from services.common.security import check_start, local_key

LINE = b"m,element=A:one value=1 1000000000000000077"


def basic(text):
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize("path", ["/write", "/api/v2/write", "/query"])
def test_clients_of_influxdb_send_keys_in_their_own_ways(doors, path):
    key = doors.key(Role.INGEST)
    ways = [
        {"headers": {"Authorization": f"Token {key}"}},
        {"headers": {"Authorization": f"Bearer {key}"}},
        {"headers": basic(f"anybody:{key}")},
        {"params": {"u": "anybody", "p": key}},
    ]
    for way in ways:
        assert doors.request("POST", path, content=LINE, **way).status_code < 300
    for wrong in (
        {"headers": {"Authorization": "Token no"}},
        {"headers": basic("anybody:no")},
        {"headers": basic(key)},
        {"headers": {"Authorization": "Basic ?"}},
        {"headers": {"Authorization": f"Digest {key}"}},
        {"headers": {"Authorization": "Bearer"}},
        {"params": {"u": key}},
        {"params": {"u": "anybody", "p": "no"}},
        {},
    ):
        assert doors.request("POST", path, content=LINE, **wrong).status_code == 401, wrong


def test_these_ways_are_for_writing_only(doors):
    key = doors.key(Role.READ, Role.INGEST)
    assert doors.get("/v1/groups", p=key).status_code == 401
    assert doors.request("GET", "/v1/groups", headers=basic(f"anybody:{key}")).status_code == 401
    assert doors.get("/v1/groups", key).status_code == 200


def test_an_ended_key_is_no_key(doors):
    now = 10**18
    doors.guard.keys._clock = lambda: now
    key = doors.key(Role.READ, expires=now + 1)
    assert doors.get("/v1/groups", key).status_code == 200
    now += 1
    assert doors.get("/v1/groups", key).status_code == 401
    other = doors.key(Role.READ)
    doors.guard.keys.revoke("k1")
    assert doors.get("/v1/groups", other).status_code == 401
    assert doors.get("/v1/groups").status_code == 401, "it does not become open again"


def test_with_a_broken_file_of_keys_nobody_comes_in(doors):
    key = doors.key(Role.READ)
    (doors.archive.directory / FILE).write_text("?")
    for text in (key, None):
        answer = doors.get("/v1/groups", text)
        assert answer.status_code == 500
        assert answer.json()["type"] == "urn:forebay:problem:permanent"


def test_too_many_wrong_credentials_have_to_wait_and_right_ones_do_not(doors):
    key = doors.key(Role.READ)
    answers = [doors.get("/v1/groups", "wrong") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].json()["type"] == "urn:forebay:problem:too-many-failures"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert doors.get("/v1/groups", key).status_code == 200
    assert doors.request("GET", "/v1/groups", "wrong", address="10.0.0.9").status_code == 401


def test_failures_are_in_the_audit_log_as_many_as_count(doors):
    doors.key(Role.READ)
    for _ in range(15):
        doors.get("/v1/groups", "wrong")
    refused = [record for record in doors.audit() if record["action"] == "refused"]
    assert len(refused) == 10
    assert refused[0]["actor"] == "unknown"
    assert refused[0]["origin"] == "127.0.0.1"
    assert refused[0]["what"] == {"path": "/v1/groups"}
    assert "wrong" not in str(refused)


# -- without a key ------------------------------------------------------------------------------------


def test_without_a_key_everything_is_open_to_this_machine(doors):
    assert doors.get("/v1/groups").status_code == 200
    assert doors.request("POST", "/write", content=LINE).status_code == 204
    assert doors.request("POST", "/write", "whatever", content=LINE).status_code == 204, "nothing to compare it with"


def test_the_first_key_closes_the_doors_at_once(doors):
    assert doors.get("/v1/groups").status_code == 200
    doors.key(Role.INGEST, groups=["A"])
    assert doors.get("/v1/groups").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "archive.example"},
        {"Host": "127.0.0.1.example:8000"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
    ],
)
def test_a_page_from_elsewhere_cannot_use_a_browser_on_this_machine(doors, headers):
    for method, path in (("GET", "/v1/groups"), ("POST", "/write")):
        answer = doors.request(method, path, content=LINE if method == "POST" else None, headers=headers)
        assert answer.status_code == 403
    assert doors.request("GET", "/v1/groups", headers={"Origin": "http://localhost"}).status_code == 200


@pytest.mark.parametrize(
    ("anonymous", "reads", "writes"), [("none", 401, 401), ("read", 200, 401), ("all", 200, 204), ("", 401, 401)]
)
def test_what_anonymous_may_is_configured_whatever_keys_there_are(make_doors, anonymous, reads, writes):
    doors = make_doors(filled=False, security={"anonymous": anonymous}, server={"host": "0.0.0.0"})
    for _ in range(2):
        assert doors.get("/v1/groups").status_code == reads
        assert doors.request("POST", "/write", content=LINE).status_code == writes
        doors.key(Role.READ)
    assert doors.get("/v1/groups", "wrong").status_code == 401, "wrong credentials are wrong"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "archive.example"])
def test_it_does_not_start_open_to_other_machines(make_doors, host):
    doors = make_doors(filled=False, server={"host": host})
    settings = doors.archive.settings
    with pytest.raises(ConfigurationError, match="forebay keys create"):
        check_start(settings)
    allowed = settings.model_copy(update={"security": settings.security.model_copy(update={"anonymous": "read"})})
    check_start(allowed)
    doors.key(Role.READ)
    check_start(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_on_loopback_it_starts_without_a_key(make_doors, host):
    check_start(make_doors(filled=False, server={"host": host}).archive.settings)


def test_commands_of_the_same_user_find_a_key(make_doors, tmp_path):
    with local_key(tmp_path) as text:
        assert (tmp_path / LOCAL_FILE).read_text() == text
        assert (tmp_path / LOCAL_FILE).stat().st_mode & 0o777 == 0o600
        doors = make_doors(filled=False, local_key=text)
        doors.key(Role.READ)
        assert doors.get("/v1/groups", text).status_code == 200
        assert doors.get("/v1/groups", text + "x").status_code == 401
    assert not (tmp_path / LOCAL_FILE).exists()


# -- what is recorded ---------------------------------------------------------------------------------


def test_changes_are_recorded_with_who_what_from_where_and_the_request(doors):
    key = doors.key(Role.OPERATE)
    headers = {"X-Request-Id": "ticket-7"}
    answer = doors.request(
        "PUT", "/v1/elements/metadata", key, params={"element": "A:one"}, json={"unit": "K"}, headers=headers
    )
    assert answer.headers["X-Request-Id"] == "ticket-7"
    doors.request("POST", "/v1/dead-letters/1/replay", key)
    doors.request("POST", "/v1/copy", key, json={"source": "lake", "target": "no", "start": "now-1h"})
    doors.request("POST", "/v1/verify", key, json={"backends": ["lake", "warm"]})
    doors.request("POST", "/v1/verify", key, json={"backends": ["lake", "warm"], "repair": "warm"})
    records = doors.audit()
    assert [(record["action"], record["result"][:6]) for record in records] == [
        *(("describe", "begun"), ("describe", "done")),
        *(("replay dead letter", "begun"), ("replay dead letter", "done")),
        *(("copy", "begun"), ("copy", "failed")),
        *(("repair", "begun"), ("repair", "done")),
    ]
    assert {(record["actor"], record["origin"]) for record in records} == {("key:k0", "127.0.0.1")}
    assert records[0]["request"] == "ticket-7"
    assert records[0]["what"]["element"] == "A:one"
    assert len({record["request"] for record in records}) == 4


def test_a_request_id_that_cannot_be_one_is_replaced(doors):
    for given in ("", "a" * 65, 'x"y', "ü"):
        answer = doors.request("GET", "/health/live", headers={"X-Request-Id": given.encode("latin-1")})
        assert len(answer.headers["X-Request-Id"]) == 32


def test_reads_are_recorded_of_groups_that_ask_for_it(make_doors):
    groups = [
        {"name": "A", "elements": ["A:*"], "backends": ["lake", "warm"], "audit_reads": True},
        {"name": "B", "elements": ["B:*"], "backends": ["lake", "warm"]},
    ]
    doors = make_doors(groups=groups)
    key = doors.key(Role.READ)
    start = "2001-01-01T00:00:00Z"
    doors.get("/v1/samples", key, element="B:one", start=start)
    assert doors.audit() == []
    doors.get("/v1/samples", key, element=["A alias", "B:one"], start=start)
    doors.get("/v1/samples", key, element="B:one", start=start, where="'A:one' > 0")
    doors.get("/v1/samples/latest", key)
    doors.get("/v1/samples/at", key, element="*", time="now")
    doors.get("/v1/explain", key, element="A:two", start=start)
    doors.get("/v1/dead-letters/1/samples", key)
    found = [(record["action"], record["what"]["elements"]) for record in doors.audit()]
    assert found == [
        ("read: query", ["A:one"]),
        ("read: query", ["A:one"]),
        ("read: latest", ["A:one", "A:two"]),
        ("read: values-at", ["A:one", "A:two"]),
        ("read: explain", ["A:two"]),
        ("read: dead letter", ["A:one"]),
    ]


def test_without_a_record_there_is_no_change_and_no_audited_read(make_doors, monkeypatch):
    doors = make_doors(groups=[{"name": "A", "elements": ["*"], "backends": ["lake"], "audit_reads": True}])
    key = doors.key(Role.OPERATE)

    def full(*_, **__):
        raise TransientError("the audit log cannot be written")

    monkeypatch.setattr(doors.guard.audit, "record", full)
    change = doors.request("PUT", "/v1/elements/metadata", key, params={"element": "A:one"}, json={"unit": "K"})
    read = doors.get("/v1/samples/latest", key)
    assert (change.status_code, read.status_code) == (503, 503)
    assert doors.archive.catalog.get("A:one").metadata.unit == ""


def test_what_may_hold_passwords_is_private(doors):
    modes = {LAST_RUN_FILE: (doors.archive.directory / LAST_RUN_FILE).stat().st_mode & 0o777}
    doors.key(Role.READ)
    modes[FILE] = (doors.archive.directory / FILE).stat().st_mode & 0o777
    assert set(modes.values()) == {0o600}
