"""The tables and keys of the configuration file: what each means, and its default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from archiver.config.fields import Duration as Duration
from archiver.config.fields import LongerDuration as LongerDuration
from archiver.config.fields import Table, lasting
from archiver.config.notifying import NotifySettings
from archiver.config.plugins import NAME as NAME
from archiver.config.plugins import Pattern
from archiver.config.plugins import PluginSettings as PluginSettings
from archiver.config.security import SecuritySettings, TlsSettings
from archiver.model import ArchiveGroup, ConfigurationError, Smoothing, SmoothingKind
from archiver.model.smoothing import ALL_BITS

DEFAULT_BACKENDS: list[dict[str, Any]] = [
    {"name": "lake", "kind": "parquet"},
    {"name": "warm", "kind": "sql", "url": "sqlite:///warm.db"},
]
"""The backends of a file that has none."""


def with_defaults(document: Any) -> Any:
    """Return a document with the default backends, and a group of every element in every backend, where it has none."""
    if not isinstance(document, Mapping):
        return document
    filled = {"backends": DEFAULT_BACKENDS, **document}
    if "groups" not in filled and isinstance(filled["backends"], list | tuple):
        names = [table["name"] for table in filled["backends"] if isinstance(table, Mapping) and "name" in table]
        filled["groups"] = [{"name": "all", "elements": ["*"], "backends": names}]
    return filled


class SmoothingSettings(Table):
    """How the samples of a group are thinned out; nothing is thrown away unasked."""

    kind: SmoothingKind = Field(SmoothingKind.NONE, description="the rule; AND and OR join what is *discarded*")
    tolerance: float = Field(0.0, ge=0, description="in the element's unit; percent for the relative kinds")
    min_interval: Duration = lasting("0s", "shortest time between two samples, for the kinds with time")
    heartbeat: Duration = lasting("0s", "longest silence; 0s is never")
    status_mask: int = Field(ALL_BITS, ge=0, le=ALL_BITS, description="status bits whose change is always stored")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        try:
            self.to_model()
        except ConfigurationError as exc:
            raise PydanticCustomError("problems", "{problems}", {"problems": exc.problems}) from exc
        return self

    def to_model(self) -> Smoothing:
        """Return the model's value."""
        return Smoothing(self.kind, self.tolerance, self.min_interval, self.heartbeat, self.status_mask)


class GroupSettings(Table):
    """An archive group: which elements, how they are smoothed, where they go, and for how long."""

    name: str = Field(pattern=NAME, description="letters, digits, _ and -")
    elements: tuple[Pattern, ...] = Field(min_length=1, description="names, globs, or regex:<expression>")
    exclude: tuple[Pattern, ...] = Field((), description="patterns of what does not belong to it after all")
    backends: tuple[str, ...] = Field(min_length=1, description="names of the backends that store it")
    smoothing: SmoothingSettings = Field(default_factory=SmoothingSettings)
    retention: Duration = lasting("0s", "how long samples are kept; 0s keeps for ever")
    segment: LongerDuration = lasting("1d", "the unit of dropping and exporting")
    known_only: bool = Field(False, description="reject elements that were never described")
    audit_reads: bool = Field(False, description="note in the audit log who reads its elements")

    def to_model(self) -> ArchiveGroup:
        """Return the model's value."""
        return ArchiveGroup(
            name=self.name,
            elements=self.elements,
            backends=self.backends,
            exclude=self.exclude,
            smoothing=self.smoothing.to_model(),
            retention_ns=self.retention,
            segment_ns=self.segment,
            known_only=self.known_only,
        )


class LaneSettings(Table):
    """How a lane writes to its backend."""

    flush_rows: int = Field(1_000_000, ge=1, description="samples that make a write")
    flush_interval: Duration = lasting("5s", "longest wait before a write")
    retry_first: LongerDuration = lasting("200ms", "wait before the first retry; it doubles each time")
    retry_longest: LongerDuration = lasting("30s", "longest wait before a retry")


class BackendSettings(PluginSettings):
    """A backend: its kind, how its lane writes, and the keys that this kind knows."""

    lane: LaneSettings = Field(default_factory=LaneSettings)


class SourceSettings(PluginSettings):
    """A source: its kind and the keys that this kind knows."""


class JournalSettings(BaseModel):
    """The journal, the only queue: its kind, and the keys that this kind knows."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field("file", description="which plug-in it is; it decides on the keys that follow")


class IntakeSettings(Table):
    """What the intake refuses, and how long it lets a source wait."""

    future: Duration = lasting("1h", "how far ahead of the clock a source time may be")


class QuerySettings(Table):
    """How much may be asked, by a request and by a caller (over HTTP, an address), and when a backend is late."""

    max_elements: int = Field(0, ge=0, description="of one request; 0 is no limit")
    max_rows: int = Field(0, ge=0, description="of one answer; 0 is no limit")
    max_time: Duration = lasting("0s", "spent on one answer; 0s is no limit")
    caller_queries: int = Field(0, ge=0, description="answers that one caller reads at the same time; 0 is no limit")
    caller_rows_per_minute: int = Field(0, ge=0, description="of all answers of one caller; 0 is no limit")
    hedge_after: LongerDuration = lasting(
        "1s", "shortest wait for a first batch before another backend is asked as well"
    )


class LineProtocolRule(Table):
    """How points of InfluxDB line protocol become elements.

    The first rule whose measurement and tags match gives the name: ``{measurement}``, ``{field}`` and ``{<tag>}``
    are filled in.
    """

    measurement: str = Field("*", description="glob")
    tags: Mapping[str, str] = Field(default_factory=dict, description="tag: glob, all must match")
    element: str = Field(description="template, such as {measurement}.{field}.{host}")


class ServerSettings(Table):
    """Where the service listens."""

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 is every interface")
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free one")
    max_body_bytes: int = Field(256 * 2**20, ge=1024, description="largest request that is taken, in bytes")
    max_connections: int = Field(
        0,
        ge=0,
        description="at a time, those that watch included; more get a 503. 0 is half of the files that the process may "
        "open, 10000 at most",
    )


class LogSettings(Table):
    """What the archive says of itself, on its error stream."""

    format: Literal["text", "json"] = Field("text", description="json: an object per line, for collectors")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="from which on; info has a line per request"
    )


class TraceSettings(Table):
    """Where traces go, by OpenTelemetry; none are made without an endpoint."""

    endpoint: str = Field("", description="of OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; needs [otel]")
    service: str = Field("forebay", description="name of this archive in the traces")
    ratio: float = Field(1.0, ge=0, le=1, description="share of the requests that are traced")


class EventSettings(Table):
    """What watches the samples."""

    rules: tuple[Path, ...] = Field(
        (), description="files of rules, TOML, YAML or JSON; relative to the file that names them"
    )
    topic: str = Field(
        "",
        pattern=r"^[a-zA-Z0-9._-]{0,200}$",
        description="of the events of `forebay events worker`, on the brokers of the journal, which has to be on "
        "Kafka; left out: the rules run in this process",
    )


class AlarmClassSettings(Table):
    """A class of alarms, beside or in place of information, advanceAlarm, warning, alert and danger."""

    name: str = Field(pattern=NAME, description="letters, digits, _ and -")
    priority: int = Field(ge=0, le=255, description="the higher, the more urgent")
    acknowledgement: Literal["none", "came", "came_and_gone", "latched"] = Field(
        "came", description="what an operator owes it; latched: an acknowledgement and a reset"
    )
    longest_shelving: Duration = lasting("8h", "how long it may be shelved at once; 0s is never")


class Settings(Table):
    """Everything the archive can be told."""

    data: Path = Field(Path("forebay-data"), description="the data directory; relative to the working directory")
    journal: JournalSettings = Field(default_factory=JournalSettings)
    intake: IntakeSettings = Field(default_factory=IntakeSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    tls: TlsSettings | None = None
    query: QuerySettings = Field(default_factory=QuerySettings)
    log: LogSettings = Field(default_factory=LogSettings)
    trace: TraceSettings = Field(default_factory=TraceSettings)
    backends: tuple[BackendSettings, ...] = Field((), json_schema_extra={"default": DEFAULT_BACKENDS})  # type: ignore[dict-item]
    groups: tuple[GroupSettings, ...] = Field((), description="left out: every element in every backend")
    sources: tuple[SourceSettings, ...] = ()
    events: EventSettings = Field(default_factory=EventSettings)
    alarm_classes: tuple[AlarmClassSettings, ...] = ()
    notify: tuple[NotifySettings, ...] = ()
    line_protocol: tuple[LineProtocolRule, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, document: Any) -> Any:
        return with_defaults(document)

    def archive_groups(self) -> dict[str, ArchiveGroup]:
        """Return the groups by name, in the order of the file."""
        return {group.name: group.to_model() for group in self.groups}
