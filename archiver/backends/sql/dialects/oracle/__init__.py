"""Oracle: written by array binds into tables partitioned by interval, read as Arrow; python-oracledb in thin mode."""

from archiver.backends.sql.dialects.oracle.dialect import OracleDialect

__all__ = ["OracleDialect"]
