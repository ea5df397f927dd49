"""Which elements there are, what is known of each, and how that changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from archiver.model import ElementVersion, InvalidInputError, Kind, Metadata, NotFoundError, SampleBatch
from archiver.model.listing import Listing
from archiver.model.near import did_you_mean
from archiver.model.time import MIN_TIME, now
from archiver.pipeline.store import Store

_FIELDS = [field.name for field in fields(Metadata)]
_TABLES = """
CREATE TABLE IF NOT EXISTS element_version (
    element_id INTEGER NOT NULL, name TEXT NOT NULL, valid_from INTEGER NOT NULL, metadata TEXT NOT NULL,
    PRIMARY KEY (element_id, valid_from)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS element_version_name ON element_version (name);
"""


class Catalog:
    """Elements and their metadata, with history, in the archive's database and in memory.

    An element keeps its id for ever; a rename or a changed unit or type is a new version from an instant on, and
    the samples stay under the name that they were received with (see `names`).
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        store.create(_TABLES)
        self._versions: dict[int, list[ElementVersion]] = {}
        self._current: dict[str, ElementVersion] = {}
        self._kinds: dict[str, int] = {}
        self._alias: dict[str, str] = {}
        self._listing: Listing | None = None
        self.version = 0
        with store.transaction() as connection:
            query = "SELECT element_id, name, valid_from, metadata FROM element_version ORDER BY element_id, valid_from"
            for row in connection.execute(query):
                self._remember(ElementVersion(row[0], row[1], row[2], _parse(row[3])))

    # -- looking --------------------------------------------------------------------------------------

    def kinds(self, names: Sequence[str]) -> NDArray[np.int16]:
        """Return the kind of each name, int16; -1 for an unknown element."""
        get = self._kinds.get
        return np.fromiter((get(name, -1) for name in names), np.int16, len(names))

    def aliases(self) -> Mapping[str, str]:
        """Return the present name of each alias and former name."""
        return self._alias

    def canonical(self, batch: SampleBatch) -> SampleBatch:
        """Return the batch with aliases and former names replaced by the elements' present names."""
        aliases = self._alias
        if not aliases or aliases.keys().isdisjoint(batch.elements):
            return batch
        names = [aliases.get(name, name) for name in batch.elements]
        unique = list(dict.fromkeys(names))
        position = {name: index for index, name in enumerate(unique)}
        table = np.array([position[name] for name in names], np.int32)
        return batch.with_elements(table[batch.codes], unique)

    def __len__(self) -> int:
        return len(self._current)

    def listing(self) -> Listing:
        """Return the current version of every element; the same listing until one of them changes."""
        with self._lock:
            if self._listing is None:
                self._listing = Listing(self._current[name] for name in sorted(self._current))
            return self._listing

    def elements(self) -> list[ElementVersion]:
        """Return the current version of every element, by name."""
        return list(self.listing().versions)

    def find(self, name: str) -> ElementVersion | None:
        """Return the current version of an element, found by its name or an alias; None when there is none."""
        with self._lock:
            return self._current.get(name) or self._current.get(self._alias.get(name, ""))

    def get(self, name: str) -> ElementVersion:
        """Return the current version of an element, found by its name or an alias.

        Raises
        ------
        NotFoundError
            The message gives the nearest name.
        """
        version = self.find(name)
        if version is None:
            raise NotFoundError(f"there is no element {name!r}{self.hint(name)}")
        return version

    def hint(self, name: str) -> str:
        """Return what to add to the sentence that there is no such element: the nearest name, nothing if none is."""
        with self._lock:
            known = [*self._current, *self._alias]
        question = did_you_mean(name, known)
        return f"; {question}" if question else ""

    def history(self, name: str) -> list[ElementVersion]:
        """Return all versions of an element, oldest first."""
        return list(self._versions[self.get(name).element_id])

    def names(self, name: str) -> tuple[str, ...]:
        """Return every name under which samples of an element may be stored, the present one first.

        A name belongs to one element for ever, so each counts for all time: a late sample is stored under the name
        of the day it came, not of the day it is of. A name that nobody described is its own.
        """
        found = self.find(name)
        if found is None:
            return (name,)
        versions = self._versions[found.element_id]
        if len(versions) == 1:
            return (found.name,)
        return tuple(dict.fromkeys(version.name for version in reversed(versions)))

    # -- changing -------------------------------------------------------------------------------------

    def register(self, kinds: Mapping[str, Kind]) -> None:
        """Take elements that were seen for the first time, and the kind of those whose kind was not known.

        What has become an alias or a former name meanwhile is no element, and left out.
        """
        with self._lock:
            fresh: list[ElementVersion] = []
            numbers = self._free_ids()
            for name, kind in kinds.items():
                old = self._current.get(name)
                if name in self._alias:
                    continue
                if old is None:
                    fresh.append(ElementVersion(next(numbers), name, MIN_TIME, Metadata(kind=kind)))
                elif old.metadata.kind is Kind.NONE and kind is not Kind.NONE:
                    fresh.append(replace(old, metadata=replace(old.metadata, kind=kind)))
            rows = [(v.element_id, v.name, v.valid_from, _text(v.metadata)) for v in fresh]
            with self._store.transaction() as connection:
                connection.executemany("INSERT OR REPLACE INTO element_version VALUES (?, ?, ?, ?)", rows)
            for version in fresh:  # after the commit: what the disk did not take is not known
                self._remember(version)

    def describe(
        self, name: str, metadata: Metadata, *, rename: str | None = None, valid_from: int | None = None
    ) -> ElementVersion:
        """Set the metadata of an element from an instant on; creates it when there is none of this name.

        Parameters
        ----------
        name : str
            Its name, a former one or an alias.
        metadata : Metadata
            A kind of `Kind.NONE` keeps the known kind.
        rename : str, optional
            The element's name from then on.
        valid_from : int, optional
            ns; now when left out. The first version of an element counts from the beginning of time.

        Raises
        ------
        InvalidInputError
            The new name or an alias belongs to another element, or `valid_from` lies before the newest version.
        """
        with self._lock:
            old = self._current.get(name) or self._current.get(self._alias.get(name, ""))
            target = rename or (name if old is None else old.name)
            self._check_free(target, metadata.aliases, old)
            if old is None:
                version = ElementVersion(next(self._free_ids()), target, MIN_TIME, metadata)
            else:
                since = now() if valid_from is None else valid_from
                if since <= old.valid_from:
                    raise InvalidInputError(
                        f"valid_from lies before the newest version of {name!r}: history is not rewritten"
                    )
                kept = metadata if metadata.kind is not Kind.NONE else replace(metadata, kind=old.metadata.kind)
                version = ElementVersion(old.element_id, target, since, kept)
            row = (version.element_id, version.name, version.valid_from, _text(version.metadata))
            with self._store.transaction() as connection:
                connection.execute("INSERT INTO element_version VALUES (?, ?, ?, ?)", row)
            self._remember(version)
            self.version += 1
            return version

    def _free_ids(self) -> Iterator[int]:
        return count(max(self._versions, default=0) + 1)

    def _check_free(self, name: str, aliases: Sequence[str], old: ElementVersion | None) -> None:
        for text in (name, *aliases):
            holder = self._current.get(text) or self._current.get(self._alias.get(text, ""))
            if holder is not None and (old is None or holder.element_id != old.element_id):
                raise InvalidInputError(f"{text!r} already names the element {holder.name!r}; choose another name")

    def _remember(self, version: ElementVersion) -> None:
        """Take a version; a former name goes on to find the element, an alias that is left out does not."""
        self._listing = None
        history = self._versions.setdefault(version.element_id, [])
        before = _others(history)
        if history and history[-1].valid_from == version.valid_from:
            history.pop()
        history.append(version)
        self._current[version.name] = version
        self._kinds[version.name] = int(version.metadata.kind)
        self._alias.pop(version.name, None)
        others = _others(history)
        self._alias.update(dict.fromkeys(others, version.name))
        for name in before - others - {version.name}:
            del self._alias[name]
        for former in history[:-1]:
            if former.name != version.name:
                self._current.pop(former.name, None)
                self._kinds.pop(former.name, None)


def _others(history: Sequence[ElementVersion]) -> set[str]:
    """Return the former names and the aliases of an element."""
    if not history:
        return set()
    return {*(version.name for version in history), *history[-1].metadata.aliases} - {history[-1].name}


def _text(metadata: Metadata) -> str:
    known = {name: value for name in _FIELDS if (value := getattr(metadata, name)) not in (None, "", (), {})}
    return json.dumps(known | {"kind": int(metadata.kind)})


def _parse(text: str) -> Metadata:
    known = json.loads(text)
    known["kind"] = Kind(known["kind"])
    known["states"] = {int(number): name for number, name in known.get("states", {}).items()}
    known["aliases"] = tuple(known.get("aliases", ()))
    return Metadata(**known)
