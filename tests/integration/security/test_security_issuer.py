"""Tokens of an issuer that is not ours: nanoidp, an OpenID Connect provider, in a process of its own."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx
import pytest

from archiver.testing.network import free_ports

SETTINGS = """
config_version: 1
server: {{host: "127.0.0.1", port: {port}}}
oauth:
  issuer: "http://localhost:{port}"
  audience: "forebay"
  token_expiry_minutes: 60
  clients:
    - {{client_id: "page", client_secret: "not-a-secret", description: "a test"}}
"""
USERS = """
config_version: 1
users:
  alice: {password: "a", email: "alice@example.org", roles: ["plc-operators"], groups: ["A"], tenant: "default"}
  bob: {password: "b", email: "bob@example.org", roles: ["visitors"], groups: ["A", "B"], tenant: "default"}
"""
PATIENCE_S = 60.0


@dataclass
class Issuer:
    """A running issuer: where it is, and the address of its keys by its own discovery document."""

    url: str
    jwks: str

    def token(self, user, password):
        answer = httpx.post(
            f"{self.url}/token",
            auth=("page", "not-a-secret"),
            data={"grant_type": "password", "username": user, "password": password, "scope": "openid"},
        )
        return answer.raise_for_status().json()["access_token"]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    pytest.importorskip("nanoidp", reason="nanoidp, the issuer of tokens, is not installed")
    directory = tmp_path_factory.mktemp("issuer")
    (port,) = free_ports(1)
    (directory / "settings.yaml").write_text(SETTINGS.format(port=port))
    (directory / "users.yaml").write_text(USERS)
    log = directory / "log"
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "nanoidp", "--config", str(directory)],
            stdout=output,
            stderr=output,
            cwd=directory,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    try:
        yield Issuer(url, _discover(url, process, log)["jwks_uri"].replace("localhost", "127.0.0.1"))
    finally:
        process.kill()
        process.wait()


def _discover(url, process, log):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            return httpx.get(f"{url}/.well-known/openid-configuration").raise_for_status().json()
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"the issuer does not answer: {log.read_text()[-2000:]}")


@pytest.fixture
def doors(make_doors, issuer):
    port = issuer.url.rpartition(":")[2]
    oidc = {
        "issuer": f"http://localhost:{port}",
        "audience": "forebay",
        "jwks": issuer.jwks,
        "roles": {"plc-operators": "operate"},
        "groups_claim": "groups",
    }
    return make_doors(security={"oidc": oidc})


def test_its_tokens_open_what_their_claims_say(doors, issuer):
    alice, bob = issuer.token("alice", "a"), issuer.token("bob", "b")
    elements = doors.get("/v1/elements", alice).json()["elements"]
    assert [row["element"] for row in elements] == ["A:one", "A:two"]
    change = {"params": {"element": "A:one"}, "json": {"unit": "K"}}
    assert doors.request("PUT", "/v1/elements/metadata", alice, **change).status_code == 200
    assert doors.audit()[-1]["actor"] == "oidc:alice"
    assert doors.request("POST", "/v1/samples", alice, json=[]).status_code == 403
    assert doors.get("/v1/elements", bob).status_code == 403, "his role means nothing here"
    assert doors.get("/v1/elements").status_code == 401, "an issuer closes the doors as a key does"


def test_its_tokens_do_not_count_when_they_were_changed_or_are_for_others(doors, issuer, make_doors):
    head, body, signature = issuer.token("bob", "b").split(".")
    other = issuer.token("alice", "a").split(".")
    for text in (f"{head}.{other[1]}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}."):
        assert doors.get("/v1/elements", text).status_code == 401
    settings = doors.archive.settings
    elsewhere = settings.security.oidc.model_copy(update={"audience": "another archive"})
    doors.archive.settings = settings.model_copy(
        update={"security": settings.security.model_copy(update={"oidc": elsewhere})}
    )
    assert doors.get("/v1/elements", ".".join(other)).status_code == 401
    assert doors.audit()[-1]["action"] == "refused"
