"""Element names and their ids: given once, never changed, so that what was looked up stays true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, Table, func, insert, select

NAMES_PER_QUERY = 1_000  # Oracle takes no more


class Elements:
    """The ids of element names.

    Parameters
    ----------
    table : Table
        Columns ``id`` and ``name``.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ids: dict[str, int] = {}

    def find(self, connection: Connection, names: Iterable[str]) -> dict[str, int]:
        """Return the id of each name that has one."""
        wanted = list(dict.fromkeys(names))
        unknown = [name for name in wanted if name not in self._ids]
        table = self._table
        for start in range(0, len(unknown), NAMES_PER_QUERY):
            part = unknown[start : start + NAMES_PER_QUERY]
            rows = connection.execute(select(table.c.name, table.c.id).where(table.c.name.in_(part)))
            self._ids.update((name, key) for name, key in rows)
        return {name: self._ids[name] for name in wanted if name in self._ids}

    def create(self, connection: Connection, names: Iterable[str]) -> dict[str, int]:
        """Give ids to new names, in order of name; to be kept by `keep` once that is committed."""
        ordered = sorted(names)
        if not ordered:
            return {}
        first = (connection.execute(select(func.max(self._table.c.id))).scalar() or 0) + 1
        fresh = {name: first + index for index, name in enumerate(ordered)}
        connection.execute(insert(self._table), [{"id": key, "name": name} for name, key in fresh.items()])
        return fresh

    def keep(self, ids: Mapping[str, int]) -> None:
        """Remember ids that are committed."""
        self._ids.update(ids)
