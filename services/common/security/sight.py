"""Which elements exist for a caller. This is the one place that decides it; nothing else compares groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archiver.bootstrap import Archive
from archiver.model import ElementVersion, NotFoundError
from archiver.model.listing import Listing
from archiver.model.near import did_you_mean
from archiver.query import expand
from archiver.query.elements import is_glob


class Sight:
    """What a caller sees of an archive: an element is there when its present name is in one of the caller's groups.

    An element that is hidden is answered like one that nobody ever heard of: the same error, with the same words.
    Therefore a caller with groups gets that error for every name that it does not know, where one without limits gets
    an empty answer.

    Parameters
    ----------
    archive : Archive
    groups : frozenset of str, optional
        None sees everything, elements of no group included.
    """

    def __init__(self, archive: Archive, groups: frozenset[str] | None) -> None:
        self._archive = archive
        self._groups = groups

    @property
    def is_whole(self) -> bool:
        """Whether everything is seen."""
        return self._groups is None

    def has_group(self, name: str) -> bool:
        """Return whether an archive group is one of the caller's."""
        return self._groups is None or name in self._groups

    def admits(self, name: str) -> bool:
        """Return whether an element would be the caller's, by its name alone: it may be one that is not there yet."""
        if self._groups is None:
            return True
        return not self._groups.isdisjoint(self._archive.groups.groups_of(name))

    def groups_of(self, name: str) -> list[str]:
        """Return the archive groups of an element that are the caller's, in the order of the configuration."""
        return [group for group in self._archive.groups.groups_of(name) if self.has_group(group)]

    def find(self, name: str) -> ElementVersion | None:
        """Return the present version of an element, by its name or an alias; None when there is none to be seen."""
        version = self._archive.catalog.find(name)
        return version if version is not None and self.admits(version.name) else None

    def get(self, name: str) -> ElementVersion:
        """Return the present version of an element.

        Raises
        ------
        NotFoundError
            There is none to be seen; the message gives the nearest name that is.
        """
        version = self.find(name)
        if version is None:
            raise self._unknown(name)
        return version

    def listing(self) -> Listing:
        """Return the present version of every element that is seen; the same until one of them, or a group, changes."""

        def seen(listing: Listing) -> Listing:
            return Listing(version for version in listing.versions if self.admits(version.name))

        return self._archive.catalog.listing().derived((self._archive.groups, self._groups), seen)

    def elements(self) -> list[ElementVersion]:
        """Return the present version of every element that is seen, by name."""
        return list(self.listing().versions)

    def name_of(self, name: str) -> str:
        """Return the present name of an element; whoever sees everything may also name one that is not there.

        Raises
        ------
        NotFoundError
            As `get`.
        """
        version = self.find(name)
        if version is not None:
            return version.name
        if self.is_whole:
            return name
        raise self._unknown(name)

    def chosen(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """Return the present names of what names, aliases and globs stand for, as the archive itself resolves them.

        Raises
        ------
        NotFoundError
            As `get`, or a glob matches nothing that is seen.
        """
        texts = list(patterns)
        globs = [self.find(text) is None and is_glob(text) for text in texts]
        names = [text if glob else self.name_of(text) for text, glob in zip(texts, globs, strict=True)]
        if not any(globs):
            return tuple(names)
        return expand(names, [version.name for version in self.elements()])

    def all_names(self, patterns: Sequence[str] | None) -> list[str]:
        """Return every name, former ones too, of what patterns stand for, or of all that is seen; sorted."""
        chosen = [v.name for v in self.elements()] if patterns is None else self.chosen(patterns)
        return sorted({former for name in chosen for former in self._archive.catalog.names(name)})

    def check_groups(self, names: Iterable[str]) -> None:
        """Raise for archive groups that are not the caller's as for those that there are not.

        Raises
        ------
        NotFoundError
        """
        hidden = sorted(name for name in names if not self.has_group(name))
        if hidden:
            there = ", ".join(sorted(self._groups or ()))
            raise NotFoundError(f"there is no archive group {', '.join(hidden)}; there are {there}")

    def _unknown(self, name: str) -> NotFoundError:
        seen = self.elements()
        question = did_you_mean(name, [text for v in seen for text in (v.name, *v.metadata.aliases)])
        return NotFoundError(f"there is no element {name!r}{f'; {question}' if question else ''}")
