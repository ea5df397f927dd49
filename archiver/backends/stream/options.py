"""What the stream backend may be told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from archiver.ports import Options

Address = Annotated[str, Field(pattern=r"^[^:\s]+:\d+$")]


class StreamOptions(Options):
    """Where subscribers connect, and how far one may fall behind."""

    tcp: Address | None = Field(None, description="host:port for plain TCP; 127.0.0.1:5600 is only for this machine")
    publish: Address | None = Field(None, description="host:port of the ZeroMQ PUB socket, for changes")
    snapshots: Address | None = Field(None, description="host:port of the ZeroMQ ROUTER socket, for all newest values")
    buffer_bytes: int = Field(
        64 * 2**20, ge=1, description="what waits for one subscriber at most; then it skips, and is told what"
    )
    heartbeat_s: float = Field(5.0, gt=0, description="a sign of life after so long without a change")
    stall_s: float = Field(60.0, gt=0, description="a subscriber that takes nothing for so long is cut off")

    @model_validator(mode="after")
    def _check(self) -> StreamOptions:
        if (self.publish is None) != (self.snapshots is None):
            raise ValueError("publish and snapshots go together: a ZeroMQ subscriber needs both")
        if self.tcp is None and self.publish is None:
            raise ValueError("name where subscribers connect: tcp, or publish and snapshots")
        return self
