"""A backend in a SQL database: SQLite in a file, or a PostgreSQL server."""

from archiver.backends.sql.backend import SqlBackend
from archiver.backends.sql.options import SqlOptions

__all__ = ["SqlBackend", "SqlOptions"]
