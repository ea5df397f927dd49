"""What a caller may do, and in which archive groups."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do.

    ``operate`` includes ``read``, ``administer`` includes all; ``ingest`` stands alone, so that the key of a source
    reads nothing.
    """

    READ = "read"
    INGEST = "ingest"
    OPERATE = "operate"
    ADMINISTER = "administer"

    @property
    def included(self) -> frozenset[Role]:
        """The role itself and those that come with it."""
        return _INCLUDED[self]


_INCLUDED = {
    Role.READ: frozenset({Role.READ}),
    Role.INGEST: frozenset({Role.INGEST}),
    Role.OPERATE: frozenset({Role.OPERATE, Role.READ}),
    Role.ADMINISTER: frozenset(Role),
}


@dataclass(frozen=True)
class Principal:
    """Somebody whose credentials were checked, or nobody in particular.

    Parameters
    ----------
    name : str
        For the audit log and the limits of a caller, such as ``key:grafana``, ``oidc:alice`` or ``anonymous``.
    roles : frozenset of Role
    groups : frozenset of str, optional
        Archive groups whose elements exist for it; None is all elements, those of no group included.
    """

    name: str
    roles: frozenset[Role]
    groups: frozenset[str] | None = None

    @classmethod
    def of(cls, name: str, roles: Iterable[Role], groups: Iterable[str] | None = None) -> Principal:
        """Return a principal with some roles, and groups unless it has all.

        Examples
        --------
        >>> Principal.of("key:ops", [Role.OPERATE]).may(Role.READ)
        True
        >>> Principal.of("key:gateway", [Role.INGEST]).may(Role.READ)
        False
        """
        return cls(name, frozenset(roles), None if groups is None else frozenset(groups))

    def may(self, role: Role) -> bool:
        """Return whether a role is one of its own, or included in one."""
        return any(role in own.included for own in self.roles)


@dataclass(frozen=True)
class Caller:
    """Who asks, from where, and in which request: what a record of the audit log begins with.

    Parameters
    ----------
    principal : Principal
    origin : str
        Address of the client, or ``command line``.
    request : str
        Id of the request; empty outside of one.
    """

    principal: Principal
    origin: str = ""
    request: str = ""

    @classmethod
    def here(cls) -> Caller:
        """Return the user of this process, who may do everything: the files are open to that user as well."""
        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # a number without a name, as in a container
            user = str(os.getuid())
        return cls(Principal.of(f"local:{user}", [Role.ADMINISTER]), "command line")
