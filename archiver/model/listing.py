"""All elements at one time, by name, with what was worked out from them once."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archiver.model.batch import Int64s
from archiver.model.element import ElementVersion

T = TypeVar("T")
_MOST_KEPT = 32
_LIKE = str.maketrans({"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"})


class Listing:
    """Elements that stay as they are: whatever is worked out from all of them can be kept with them.

    Parameters
    ----------
    versions : iterable of ElementVersion
        By name (by code point), each name once.

    Examples
    --------
    >>> from archiver.model import Metadata
    >>> listing = Listing(ElementVersion(n, name, 0, Metadata()) for n, name in enumerate(["P1", "T1", "T2"]))
    >>> listing.matching("T*").tolist()
    [1, 2]
    """

    def __init__(self, versions: Iterable[ElementVersion]) -> None:
        self.versions = tuple(versions)
        self._kept: dict[Hashable, Any] = {}
        self._making = threading.RLock()

    def derived(self, what: Hashable, make: Callable[[Listing], T]) -> T:
        """Return what `make` makes of this listing: made once for each `what`, unless many others came since."""
        kept = self._kept  # things are added to it, and never taken out
        if what not in kept:
            with self._making:  # a crowd that asks for the same waits for the first of them
                kept = self._kept if len(self._kept) < _MOST_KEPT else {}
                if what not in kept:
                    kept[what] = make(self)
                self._kept = kept
        result: T = kept[what]
        return result

    @property
    def names(self) -> pa.Array:
        """All names."""
        return self.derived("names", lambda own: pa.array([one.name for one in own.versions], pa.utf8()))

    def matching(self, glob: str = "*", text: str = "") -> Int64s:
        """Return the places of the elements whose whole name matches a glob, and which have a text, in any case.

        Parameters
        ----------
        glob : str
            As of `fnmatch`.
        text : str
            Somewhere in the name or the description.
        """
        hits = np.ones(len(self.versions), bool)
        if glob.strip("*") or not glob:
            hits &= _matches(self.names, glob)
        if text:
            wanted = text.casefold()
            names, descriptions = self.derived("folded", _folded)
            found = pc.or_(pc.match_substring(names, wanted), pc.match_substring(descriptions, wanted))
            hits &= found.to_numpy(zero_copy_only=False)
        return np.flatnonzero(hits)


def _matches(names: pa.Array, glob: str) -> Any:
    """Return which names match; sets of characters (``[ab]``) are no part of SQL's LIKE, all else is."""
    if "[" not in glob:
        return pc.match_like(names, glob.translate(_LIKE)).to_numpy(zero_copy_only=False)
    match = re.compile(fnmatch.translate(glob)).match
    return np.fromiter((match(name) is not None for name in names.to_pylist()), bool, len(names))


def _folded(listing: Listing) -> tuple[pa.Array, pa.Array]:
    versions = listing.versions
    names = pa.array([one.name.casefold() for one in versions], pa.utf8())
    return names, pa.array([one.metadata.description.casefold() for one in versions], pa.utf8())
