"""What the configuration says of an InfluxDB backend."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from archiver.config import Duration
from archiver.ports import Options


class InfluxOptions(Options):
    """Keys of ``[[backends]]`` with ``kind = "influx"``."""

    url: str = Field(pattern=r"^https?://[^/?#@]+/?$", description="http://host:8086 or https://host:8086")
    database: str = Field(min_length=1, description="database of 1.x and 3.x, bucket of 2.x; made when it is missing")
    organization: str = Field("", description="organization of the bucket; 2.x only")
    user: str = Field("", description="1.x only; its password is in the environment variable INFLUX_PASSWORD")
    ca_file: str | None = Field(
        None, description="file of certificates to trust instead of the system's, for https; an absolute path"
    )
    timeout: Duration = Field("30s", validate_default=True, description="longest wait for an answer of the server")
    layout: Literal["forebay", "wincc-oa"] = Field(
        "forebay", description="wincc-oa reads the database of a WinCC OA NextGen Archiver in place, and never writes"
    )

    @field_validator("database", "organization", "user")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable() or "/" in value:
            raise ValueError("write a name of printable characters without a slash")
        return value
