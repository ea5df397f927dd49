"""Keys and the audit log over HTTP: for those who administer all of the archive."""

import pytest

from archiver.security import Role

NEW = {"name": "grafana", "roles": ["read"], "groups": ["A"], "expires": "90d"}


@pytest.fixture
def admin(doors):
    return doors.key(Role.ADMINISTER)


def test_a_key_is_made_shown_once_and_revoked(doors, admin):
    made = doors.request("POST", "/v1/keys", admin, json=NEW)
    assert made.status_code == 201
    key = made.json()["key"]
    assert [row["element"] for row in doors.get("/v1/elements", key).json()["elements"]] == ["A:one", "A:two"]
    listed = doors.get("/v1/keys", admin)
    assert [row["name"] for row in listed.json()["keys"]] == ["k0", "grafana"]
    assert key not in listed.text
    revoked = doors.request("DELETE", "/v1/keys/grafana", admin).json()["keys"]
    assert [row["state"] for row in revoked] == ["revoked"]
    assert doors.get("/v1/elements", key).status_code == 401
    records = doors.get("/v1/audit", admin).json()["records"]
    assert [record["action"] for record in records] == [*["create key"] * 2, *["revoke key"] * 2, "refused"]
    assert key not in str(records)
    assert doors.get("/v1/audit", admin, last=1).json()["records"] == records[-1:]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"name": "k0"}, 400),
        ({"name": "a b"}, 400),
        ({"roles": []}, 400),
        ({"roles": ["root"]}, 400),
        ({"groups": []}, 400),
        ({"groups": ["Z"]}, 404),
        ({"expires": "soon"}, 400),
        ({"more": 1}, 400),
    ],
)
def test_what_cannot_be_a_key(doors, admin, wrong, status):
    assert doors.request("POST", "/v1/keys", admin, json=NEW | wrong).status_code == status
    assert len(doors.guard.keys) == 1


def test_who_administers_some_groups_gives_no_keys_to_others(doors):
    some = doors.key(Role.ADMINISTER, groups=["A"])
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/k0"), ("GET", "/v1/audit")):
        answer = doors.request(method, path, some, json=NEW if method == "POST" else None)
        assert (path, answer.status_code) == (path, 403)


def test_a_key_that_is_not_there(doors, admin):
    assert doors.request("DELETE", "/v1/keys/nobody", admin).status_code == 404


def test_a_caller_is_told_what_it_may(doors):
    some, all_ = doors.key(Role.OPERATE, groups=["B", "A"]), doors.key(Role.ADMINISTER)
    assert doors.get("/v1/caller", some).json() == {
        "name": "key:k0",
        "roles": ["read", "operate"],
        "groups": ["A", "B"],
    }
    assert doors.get("/v1/caller", all_).json() == {
        "name": "key:k1",
        "roles": [str(role) for role in Role],
        "groups": None,
    }


def test_without_a_key_this_machine_may_do_everything(doors):
    assert doors.get("/v1/caller").json() == {
        "name": "anonymous",
        "roles": [str(role) for role in Role],
        "groups": None,
    }
