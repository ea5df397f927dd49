"""Keys: random, shown once, kept as a hash, ended by time or by hand, seen at once by whoever else looks."""

import json
import os
import stat

import pytest

from archiver.model import InvalidInputError, NotFoundError, PermanentError
from archiver.security import Keys, Role
from archiver.security.keys import FILE

DAY = 86_400 * 10**9


@pytest.fixture
def clock():
    class Clock:
        now = 10**18

        def __call__(self):
            return self.now

    return Clock()


def test_a_key_is_256_random_bits_and_only_its_hash_is_kept(tmp_path):
    keys = Keys(tmp_path)
    texts = {keys.create(f"k{number}", [Role.READ])[0] for number in range(20)}
    secrets = {text.split("_", 2)[2] for text in texts}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {43}  # Base64 of 32 bytes
    content = (tmp_path / FILE).read_text()
    assert not any(secret in content for secret in secrets)


def test_the_file_is_private(tmp_path):
    Keys(tmp_path).create("k", [Role.READ])
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_only_the_whole_text_is_the_key(tmp_path):
    keys = Keys(tmp_path)
    text, key = keys.create("k", [Role.READ])
    assert keys.find(text) == key
    other, _ = keys.create("other", [Role.READ])
    for wrong in ("", "forebay", text[:-1], text + "A", text.upper(), f"forebay_{key.id}_{other.split('_', 2)[2]}"):
        assert keys.find(wrong) is None


def test_a_key_ends_when_it_says_so(tmp_path, clock):
    keys = Keys(tmp_path, clock)
    text, _ = keys.create("k", [Role.READ], expires=clock.now + DAY)
    clock.now += DAY - 1
    assert keys.find(text) is not None
    clock.now += 1
    assert keys.find(text) is None
    assert [key.state(clock.now) for key in keys.all()] == ["expired"]


def test_what_another_process_changes_is_seen_with_the_next_look(tmp_path):
    running, command = Keys(tmp_path), Keys(tmp_path)
    assert len(running) == 0
    text, _ = command.create("k", [Role.READ], ["A"])
    found = running.find(text)
    assert found is not None
    assert found.principal.groups == {"A"}
    command.revoke("k")
    assert running.find(text) is None
    assert len(running) == 1  # credentials go on to be asked for


def test_a_name_is_free_again_when_its_key_was_revoked(tmp_path):
    keys = Keys(tmp_path)
    first, _ = keys.create("k", [Role.READ])
    with pytest.raises(InvalidInputError, match="already"):
        keys.create("k", [Role.READ])
    keys.revoke("k")
    second, _ = keys.create("k", [Role.READ])
    assert (keys.find(first), keys.find(second) is None) == (None, False)


@pytest.mark.parametrize("name", ["", "a b", "a\n", "x" * 65, "ü"])
def test_what_cannot_be_a_name(tmp_path, name):
    with pytest.raises(InvalidInputError, match="name"):
        Keys(tmp_path).create(name, [Role.READ])


def test_a_key_without_a_role_is_none(tmp_path):
    with pytest.raises(InvalidInputError, match="no role"):
        Keys(tmp_path).create("k", [])


def test_a_name_that_is_not_there_is_told_with_the_nearest(tmp_path):
    keys = Keys(tmp_path)
    keys.create("grafana", [Role.READ])
    with pytest.raises(NotFoundError, match="did you mean 'grafana'"):
        keys.revoke("graphana")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 1, "keys": [{}]}', '{"format": 99, "keys": []}'])
def test_a_broken_file_lets_nobody_in(tmp_path, content):
    text, _ = Keys(tmp_path).create("k", [Role.READ])
    (tmp_path / FILE).write_text(content)
    with pytest.raises(PermanentError, match=FILE):
        Keys(tmp_path).find(text)


def test_a_file_that_others_may_write_to_lets_nobody_in(tmp_path):
    text, _ = Keys(tmp_path).create("k", [Role.READ])
    os.chmod(tmp_path / FILE, 0o666)
    with pytest.raises(PermanentError, match="chmod 600"):
        Keys(tmp_path).find(text)


def test_the_row_of_a_list_has_nothing_secret(tmp_path):
    text, key = Keys(tmp_path).create("k", [Role.READ])
    shown = json.dumps(key.to_row())
    assert key.digest not in shown
    assert text.split("_", 2)[2] not in shown


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.READ, {Role.READ}),
        (Role.INGEST, {Role.INGEST}),
        (Role.OPERATE, {Role.OPERATE, Role.READ}),
        (Role.ADMINISTER, set(Role)),
    ],
)
def test_what_a_role_includes(tmp_path, role, allowed):
    _, key = Keys(tmp_path).create("k", [role])
    assert {wanted for wanted in Role if key.principal.may(wanted)} == allowed
