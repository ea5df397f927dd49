"""A Delta table on the local disk: Parquet files sorted by element and time, readable by any tool as they lie."""

from archiver.backends.parquet.backend import ParquetBackend

__all__ = ["ParquetBackend"]
