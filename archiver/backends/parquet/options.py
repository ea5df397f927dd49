"""What the configuration may say about a Parquet backend."""

from __future__ import annotations

from pydantic import Field

from archiver.config import Duration
from archiver.ports import Options


class ParquetOptions(Options):
    """Keys of ``[[backends]]`` with ``kind = "parquet"``."""

    path: str | None = Field(None, description="folder of the Delta table; relative to the data directory")
    buckets: int = Field(1, ge=1, le=256, description="files per group and day: more for sites of 100,000 elements")
    keep_removed: Duration = Field(
        "1h",
        validate_default=True,
        description="how long files that compaction replaced stay for readers that still have them open",
    )
