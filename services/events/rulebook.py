"""The rules in force, every version of each that ever was, and who made it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.events.rules.documents import Rule
from analytics.events.rules.loading import parse_rule
from archiver.model import InvalidInputError, NotFoundError, format_time
from archiver.model.near import did_you_mean
from archiver.pipeline.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rule (
    name TEXT NOT NULL, number INTEGER NOT NULL, document TEXT, origin TEXT NOT NULL, changed INTEGER NOT NULL,
    user TEXT NOT NULL, PRIMARY KEY (name, number)
) WITHOUT ROWID;
"""
_COLUMNS = "name, number, document, origin, changed, user"
_NEWEST = f"SELECT {_COLUMNS} FROM rule AS r WHERE number = (SELECT max(number) FROM rule WHERE name = r.name)"


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A version of a rule.

    Parameters
    ----------
    name : str
    number : int
        1 for the first.
    rule : Rule or None
        What it says; None where the rule was taken out.
    origin : str
        The file that it comes from; empty for one that was sent.
    changed : int
        When it came in force, ns.
    user : str
        Who did that; empty for a file.
    """

    name: str
    number: int
    rule: Rule | None
    origin: str
    changed: int
    user: str

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values, the rule as its document."""
        return {
            "name": self.name,
            "number": self.number,
            "version": None if self.rule is None else self.rule.version,
            "changed": format_time(self.changed),
            "user": self.user,
            "origin": self.origin,
            "rule": None if self.rule is None else document_of(self.rule),
        }


class Rulebook:
    """Rules by name, kept with their history in the data base of events.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_SCHEMA)

    def rules(self) -> list[Rule]:
        """Return the rules in force, by name; those that are not enabled too."""
        return [version.rule for version in self._newest() if version.rule is not None]

    def current(self) -> list[RuleVersion]:
        """Return the newest version of each rule that was not taken out, by name."""
        return [version for version in self._newest() if version.rule is not None]

    def get(self, name: str) -> Rule:
        """Return a rule in force.

        Raises
        ------
        NotFoundError
        """
        version = self._found(name)
        if version is None or version.rule is None:
            raise self._unknown(name)
        return version.rule

    def history(self, name: str) -> Sequence[RuleVersion]:
        """Return every version of a rule, the newest first.

        Raises
        ------
        NotFoundError
        """
        found = [_version(row) for row in self._rows(f"SELECT {_COLUMNS} FROM rule WHERE name = ?", name)]
        if not found:
            raise self._unknown(name)
        return sorted(found, key=lambda version: -version.number)

    def put(self, rule: Rule, user: str, time: int) -> RuleVersion:
        """Put a rule in force, in place of the one of its name.

        Raises
        ------
        InvalidInputError
            A rule of this name comes from a file.
        """
        before = self._found(rule.name)
        if before is not None and before.origin:
            raise _of_a_file(before)
        if before is not None and before.rule == rule:
            return before
        return self._keep(rule.name, rule, "", time, user)

    def remove(self, name: str, user: str, time: int) -> None:
        """Take a rule out; its history stays.

        Raises
        ------
        NotFoundError
        InvalidInputError
            It comes from a file.
        """
        before = self._found(name)
        if before is None or before.rule is None:
            raise self._unknown(name)
        if before.origin:
            raise _of_a_file(before)
        self._keep(name, None, "", time, user)

    def use_files(self, files: Iterable[tuple[str, Sequence[Rule]]], time: int) -> None:
        """Have just the rules of these files beside those that were sent.

        Parameters
        ----------
        files : iterable of (str, sequence of Rule)
            Each with its name.
        time : int
            ns.

        Raises
        ------
        InvalidInputError
            Two files, or a file and somebody, have a rule of the same name.
        """
        named: dict[str, tuple[Rule, str]] = {}
        for origin, rules in files:
            for rule in rules:
                if rule.name in named:
                    raise InvalidInputError(
                        f"rule {rule.name!r} is in {named[rule.name][1]} and in {origin}: rename one"
                    )
                named[rule.name] = rule, origin
        before = {version.name: version for version in self._newest()}
        for name, (rule, origin) in named.items():
            known = before.get(name)
            if known is not None and known.rule is not None and not known.origin:
                raise InvalidInputError(f"rule {name!r} of {origin} was sent by {known.user} as well: remove one")
            if known is None or known.rule != rule or known.origin != origin:
                self._keep(name, rule, origin, time, "")
        for name, known in before.items():
            if known.origin and known.rule is not None and name not in named:
                self._keep(name, None, known.origin, time, "")

    def _newest(self) -> list[RuleVersion]:
        return [_version(row) for row in self._rows(f"{_NEWEST} ORDER BY name")]

    def _found(self, name: str) -> RuleVersion | None:
        rows = self._rows(f"{_NEWEST} AND name = ?", name)
        return _version(rows[0]) if rows else None

    def _keep(self, name: str, rule: Rule | None, origin: str, time: int, user: str) -> RuleVersion:
        document = None if rule is None else json.dumps(document_of(rule))
        with self._store.transaction() as connection:
            (last,) = connection.execute("SELECT max(number) FROM rule WHERE name = ?", (name,)).fetchone()
            row = (name, (last or 0) + 1, document, origin, time, user)
            connection.execute(f"INSERT INTO rule ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", row)
        return _version(row)

    def _rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with self._store.reading() as connection:
            return connection.execute(query, given).fetchall()

    def _unknown(self, name: str) -> NotFoundError:
        known = [version.name for version in self.current()]
        hint = did_you_mean(name, known, f"there are: {', '.join(known) or 'none'}")
        return NotFoundError(f"there is no rule {name!r}; {hint}")


def document_of(rule: Rule) -> dict[str, Any]:
    """Return a rule as it is written: without what it does not say."""
    said: dict[str, Any] = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"name": rule.name, "kind": getattr(rule, "kind"), **said}  # noqa: B009 - every kind of rule has one


def _version(row: tuple[Any, ...]) -> RuleVersion:
    name, number, document, origin, changed, user = row
    rule = None if document is None else parse_rule(json.loads(document))
    return RuleVersion(name, number, rule, origin, changed, user)


def _of_a_file(version: RuleVersion) -> InvalidInputError:
    return InvalidInputError(f"rule {version.name!r} comes from {version.origin}: change it there, and send SIGHUP")
