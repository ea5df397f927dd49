"""Tokens: only what the issuer signed, for us, now, in an allowed way; keys are fetched again when they change.

The issuer here is a stand-in that signs with keys of its own; a real one is in the integration tests.
"""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from archiver.config import OidcSettings
from archiver.security import Role
from services.common.errors import UnauthorizedError
from services.common.security.issuer import IssuerKeys
from services.common.security.tokens import Tokens

ISSUER, AUDIENCE = "https://issuer.example", "forebay"


class Issuer:
    """A stand-in for an issuer: keys, a file with the public ones, and what it signs."""

    def __init__(self, directory):
        self.path = directory / "jwks.json"
        self._keys = {}
        self.add("first", rsa.generate_private_key(65537, 2048))

    def add(self, name, key, **more):
        self._keys[name] = (key, more)
        self.publish()

    def remove(self, name):
        del self._keys[name]
        self.publish()

    def publish(self):
        entries = []
        for name, (key, more) in self._keys.items():
            family = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
            entries.append({**family.to_jwk(key.public_key(), as_dict=True), "kid": name, **more})
        self.path.write_text(json.dumps({"keys": entries}))

    def key(self, name="first"):
        return self._keys[name][0]

    def sign(self, kid="first", algorithm="RS256", headers=None, **claims):
        now = int(time.time())
        content = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 60, "iat": now, "roles": ["read"]}
        content = {name: value for name, value in (content | claims).items() if value is not None}
        return jwt.encode(content, self.key(kid), algorithm, headers={"kid": kid, **(headers or {})})


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def make_tokens(issuer):
    def make(clock=time.time, ticks=time.monotonic, **more):
        settings = OidcSettings(issuer=ISSUER, audience=AUDIENCE, jwks=str(issuer.path), **more)
        return Tokens(settings, IssuerKeys(settings.jwks, 3600.0, ticks), clock)

    return make


def encoded(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode() if isinstance(part, dict) else part).rstrip(b"=")


def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_a_right_token_names_somebody_with_roles(make_tokens, issuer):
    principal = make_tokens().check(issuer.sign(roles=["operate", "unheard-of"]))
    assert (principal.name, principal.roles, principal.groups) == ("oidc:alice", {Role.OPERATE}, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://issuer.example/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": ["another", "others"]},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"nbf": int(time.time()) + 600},
        {"iat": int(time.time()) + 600},
        {"sub": None},
        {"sub": ""},
    ],
)
def test_claims_that_do_not_count(make_tokens, issuer, wrong):
    with pytest.raises(UnauthorizedError):
        make_tokens().check(issuer.sign(**wrong))


def test_clocks_may_differ_by_the_leeway(make_tokens, issuer):
    late = issuer.sign(exp=int(time.time()) - 10)
    make_tokens().check(late)
    with pytest.raises(UnauthorizedError, match="expired"):
        make_tokens(leeway="1s").check(late)


def test_a_token_without_a_signature_is_none(make_tokens, issuer):
    head = encoded({"alg": "none", "typ": "JWT", "kid": "first"})
    body = issuer.sign().split(".")[1].encode()
    for algorithm in ("none", "None", "NONE", ""):
        head = encoded({"alg": algorithm, "typ": "JWT", "kid": "first"})
        with pytest.raises(UnauthorizedError):
            make_tokens().check((head + b"." + body + b".").decode())


def test_the_public_key_is_no_shared_secret(make_tokens, issuer):
    """The old trick: HS256 with the text of the RSA public key as the secret."""
    public = issuer.key().public_key()
    texts = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        issuer.path.read_bytes(),
    ]
    body = issuer.sign().split(".")[1].encode()
    for algorithm in ("HS256", "RS256"):
        head = encoded({"alg": algorithm, "typ": "JWT", "kid": "first"})
        for secret in texts:
            signature = encoded(hmac.new(secret, head + b"." + body, hashlib.sha256).digest())
            with pytest.raises(UnauthorizedError):
                make_tokens().check((head + b"." + body + b"." + signature).decode())


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "RS257"])
def test_shared_secrets_and_no_signature_cannot_be_configured(algorithm):
    with pytest.raises(ValueError, match="algorithms"):
        OidcSettings(issuer=ISSUER, audience=AUDIENCE, jwks="x", algorithms=(algorithm,))


def test_an_algorithm_that_is_not_configured_does_not_count(make_tokens, issuer):
    with pytest.raises(UnauthorizedError, match="RS512"):
        make_tokens().check(issuer.sign(algorithm="RS512"))
    assert make_tokens(algorithms=("RS512",)).check(issuer.sign(algorithm="RS512"))
    assert make_tokens(algorithms=("PS256",)).check(issuer.sign(algorithm="PS256"))


def test_a_key_for_one_algorithm_is_not_used_for_another(make_tokens, issuer):
    issuer.add("pinned", rsa.generate_private_key(65537, 2048), alg="RS256")
    tokens = make_tokens(algorithms=("RS256", "PS256"))
    assert tokens.check(issuer.sign("pinned"))
    with pytest.raises(UnauthorizedError):
        tokens.check(issuer.sign("pinned", "PS256"))


def test_elliptic_curves(make_tokens, issuer):
    issuer.add("curve", ec.generate_private_key(ec.SECP256R1()))
    assert make_tokens(algorithms=("ES256",)).check(issuer.sign("curve", "ES256"))
    with pytest.raises(UnauthorizedError):
        make_tokens(algorithms=("RS256",)).check(issuer.sign("curve", "ES256"))


def test_a_key_for_encryption_signs_nothing(make_tokens, issuer):
    issuer.add("other-use", rsa.generate_private_key(65537, 2048), use="enc")
    with pytest.raises(UnauthorizedError):
        make_tokens().check(issuer.sign("other-use"))


def test_a_key_that_the_token_brings_along_does_not_count(make_tokens, issuer):
    own = rsa.generate_private_key(65537, 2048)
    brought = jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key(), as_dict=True)
    content = claims(issuer.sign())
    for headers in ({"kid": "first", "jwk": brought}, {"kid": "mine", "jwk": brought, "jku": "http://localhost/k"}):
        with pytest.raises(UnauthorizedError):
            make_tokens().check(jwt.encode(content, own, "RS256", headers=headers))


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "a.b", "a.b.c.d", "\x00.\x00.\x00", "ü.ü.ü", "." * 20_000])
def test_what_is_no_token(make_tokens, text):
    with pytest.raises(UnauthorizedError):
        make_tokens().check(text)


def test_a_token_that_was_checked_is_remembered_until_it_ends(make_tokens, issuer):
    now = time.time()
    tokens = make_tokens(clock=lambda: now)
    text = issuer.sign()
    assert tokens.remembered(text) is None
    principal = tokens.check(text)
    assert tokens.remembered(text) == principal
    assert tokens.remembered(text[:-3] + "AAA") is None
    now += 60 + 31
    assert tokens.remembered(text) is None


def test_a_new_key_is_fetched_and_not_too_often(make_tokens, issuer):
    at = 0.0
    tokens = make_tokens(ticks=lambda: at)
    tokens.check(issuer.sign())
    issuer.add("second", rsa.generate_private_key(65537, 2048))
    text = issuer.sign("second")
    with pytest.raises(UnauthorizedError):
        tokens.check(text)
    at += 31
    remembered = issuer.sign(sub="bob")
    tokens.check(remembered)
    assert tokens.check(text)
    assert tokens.remembered(remembered) is None, "what was checked by the old keys is checked again"


def test_a_key_that_is_gone_ends_with_the_next_fetch(make_tokens, issuer):
    at = 0.0
    issuer.add("leaving", rsa.generate_private_key(65537, 2048))
    tokens = make_tokens(ticks=lambda: at)
    text = issuer.sign("leaving")
    assert tokens.check(text)
    issuer.remove("leaving")
    at += 3601
    with pytest.raises(UnauthorizedError):
        tokens.check(text)


def test_keys_that_cannot_be_fetched_again_go_on_to_count(make_tokens, issuer):
    at = 0.0
    tokens = make_tokens(ticks=lambda: at)
    tokens.check(issuer.sign())
    at += 3601
    content = issuer.path.read_text()
    try:
        for broken in ("", "[]", "{}", '{"keys": [{}]}', '{"keys": 1}'):
            issuer.path.write_text(broken)
            assert tokens.check(issuer.sign())
            at += 3601
    finally:
        issuer.path.write_text(content)


def test_roles_and_groups_come_from_configured_claims(make_tokens, issuer):
    tokens = make_tokens(
        roles_claim="realm_access.roles",
        roles={"plc-operators": "operate", "viewers": "read"},
        groups_claim="archive",
        name_claim="preferred_username",
    )
    access = {"realm_access": {"roles": ["viewers", "administer"]}, "preferred_username": "bob"}
    principal = tokens.check(issuer.sign(archive="A B", **access))
    assert (principal.name, principal.roles, principal.groups) == ("oidc:bob", {Role.READ}, {"A", "B"})
    assert tokens.check(issuer.sign(archive=["A"], **access)).groups == {"A"}
    assert tokens.check(issuer.sign(**access)).groups == frozenset(), "no word on groups is no group"
    assert tokens.check(issuer.sign(preferred_username="bob")).roles == frozenset()


@pytest.mark.parametrize("jwks", ["http://issuer.example/keys", "ftp://issuer.example/keys"])
def test_keys_do_not_come_over_an_open_line(jwks):
    with pytest.raises(ValueError, match="https"):
        OidcSettings(issuer=ISSUER, audience=AUDIENCE, jwks=jwks)
