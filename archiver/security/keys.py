"""API keys: 256 random bits each, of which only the SHA-256 is kept, in one small file of the data directory.

A password needs a slow hash because people choose it and others guess it. Nobody guesses 256 random bits: a fast hash
gives away nothing, and does not slow every request down.
"""

from __future__ import annotations

import base64
import fcntl
import hmac
import json
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from archiver.model import InvalidInputError, NotFoundError, PermanentError, format_time
from archiver.model.near import did_you_mean
from archiver.model.time import now
from archiver.security.files import give_to_owner, replace_file
from archiver.security.roles import Principal, Role

FILE = "keys.json"
LOCAL_FILE = "local.key"
"""Where a running archive keeps the key of the commands of its own user."""

_FORMAT = 1
_SECRET_BYTES = 32
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Key:
    """What is kept of a key; the secret itself is not.

    Parameters
    ----------
    id : str
        Part of the key's text, so that it is found without trying all.
    name : str
        Who has it.
    digest : str
        SHA-256 of the key's text, in hexadecimal.
    roles : tuple of Role
    groups : tuple of str, optional
        None is all.
    created : int
        ns, as the following.
    expires, revoked : int, optional
    """

    id: str
    name: str
    digest: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...] | None
    created: int
    expires: int | None = None
    revoked: int | None = None

    @property
    def principal(self) -> Principal:
        """Who comes with it."""
        return Principal.of(f"key:{self.name}", self.roles, self.groups)

    def state(self, time: int) -> str:
        """Return ``valid``, ``expired`` or ``revoked`` at a time (ns)."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= time else "valid"

    def to_row(self) -> dict[str, Any]:
        """Return what a list shows of it."""
        return {
            "name": self.name,
            "id": self.id,
            "roles": " ".join(self.roles),
            "groups": "all" if self.groups is None else " ".join(self.groups),
            "state": self.state(now()),
            "created": format_time(self.created),
            "expires": None if self.expires is None else format_time(self.expires),
            "revoked": None if self.revoked is None else format_time(self.revoked),
        }


class Keys:
    """The keys of a data directory; what another process changes is seen with the next look.

    Parameters
    ----------
    directory : Path
        The data directory.
    clock : callable
        Gives ns since the epoch.
    """

    def __init__(self, directory: Path, clock: Callable[[], int] = now) -> None:
        self._path = directory / FILE
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        """Return how many keys were ever made; those that are revoked or expired count."""
        self._look()
        return len(self._keys)

    def all(self) -> Sequence[Key]:
        """Return all keys, oldest first."""
        self._look()
        return sorted(self._keys.values(), key=lambda key: key.created)

    def find(self, text: str) -> Key | None:
        """Return the valid key that a text is; None for any other text.

        Raises
        ------
        PermanentError
            The file is broken, or others may write to it: nobody is let in by it.
        """
        self._look()
        key = self._keys.get(_id_of(text))
        if key is None or not hmac.compare_digest(digest_of(text), key.digest):
            return None
        return key if key.state(self._clock()) == "valid" else None

    def create(
        self, name: str, roles: Iterable[Role], groups: Iterable[str] | None = None, expires: int | None = None
    ) -> tuple[str, Key]:
        """Make a key; return its text, which is nowhere kept, and what is.

        Parameters
        ----------
        name : str
            Letters, digits and ``. _ @ -``; no other valid key has it.
        expires : int, optional
            ns since the epoch.

        Raises
        ------
        InvalidInputError
            The name cannot be one or is taken, or there is no role.
        """
        chosen = tuple(sorted(set(roles)))
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f"name = {name!r}: a key's name has 1 to 64 letters, digits, or any of . _ @ -")
        if not chosen:
            raise InvalidInputError(f"key {name!r} has no role: give one of {', '.join(Role)}")
        number = secrets.token_hex(4)
        text = new_text(number)
        of_groups = None if groups is None else tuple(sorted(set(groups)))
        key = Key(number, name, digest_of(text), chosen, of_groups, self._clock(), expires)
        with self._changing() as keys:
            if any(other.name == name and other.state(self._clock()) == "valid" for other in keys.values()):
                raise InvalidInputError(f"there is a key {name!r} already: revoke it first, or choose another name")
            keys[number] = key
        return text, key

    def revoke(self, name: str) -> list[Key]:
        """Make every key of a name invalid from now on; return them.

        Raises
        ------
        NotFoundError
            No key of this name is valid.
        """
        with self._changing() as keys:
            found = [key for key in keys.values() if key.name == name and key.revoked is None]
            if not found:
                known = sorted({key.name for key in keys.values() if key.revoked is None})
                hint = did_you_mean(name, known, "`forebay keys list` lists those that there are")
                raise NotFoundError(f"there is no key {name!r} to revoke; {hint}")
            revoked = [replace(key, revoked=self._clock()) for key in found]
            keys.update({key.id: key for key in revoked})
        return revoked

    # -- the file -------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Read the file when it is another one than was read last."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen != self._seen:
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermanentError(f"others may write to {self._path}: no key counts until `chmod 600` of it")
            self._keys = _read(self._path)
            self._seen = seen

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """Give the keys to be changed, one process at a time, and write them in one piece."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            give_to_owner(self._path.with_suffix(".lock"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._look()
            keys = dict(self._keys)
            yield keys
            document = {"format": _FORMAT, "keys": [asdict(key) for key in keys.values()]}
            replace_file(self._path, json.dumps(document, indent=1).encode())


def new_text(number: str) -> str:
    """Return the text of a new key: 256 random bits behind a number."""
    return f"forebay_{number}_{base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip('=')}"


def digest_of(text: str) -> str:
    """Return what is kept of a key's text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _id_of(text: str) -> str:
    return text.partition("_")[2].partition("_")[0]


def _read(path: Path) -> dict[str, Key]:
    try:
        document = json.loads(path.read_bytes())
        if document["format"] > _FORMAT:
            raise PermanentError(f"{path} has format {document['format']}, newer than {_FORMAT}: upgrade forebay")
        keys = [_key(row) for row in document["keys"]]
    except (ValueError, KeyError, TypeError, OSError) as exc:
        raise PermanentError(f"{path} cannot be read, and no key counts until it can: {exc!r}") from exc
    return {key.id: key for key in keys}


def _key(row: dict[str, Any]) -> Key:
    groups = row["groups"]
    roles = tuple(Role(role) for role in row["roles"])
    return Key(**{**row, "roles": roles, "groups": None if groups is None else tuple(groups)})
