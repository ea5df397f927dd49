"""The configuration: one TOML file, environment and flags over it, checked as a whole.

`load` gives `Settings`; every problem is reported at once, each with the key, the value and what to write instead.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from archiver import registry
from archiver.model import (
    ArchiveGroup,
    ConfigurationError,
    InvalidInputError,
    Smoothing,
    SmoothingKind,
    parse_duration,
)
from archiver.model.smoothing import ALL_BITS
from archiver.ports import Options

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]*$"
ENVIRONMENT_PREFIX = "FOREBAY_"


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidInputError as exc:
            raise ValueError(str(exc)) from exc
    raise ValueError(f'{value!r} has no unit: write a duration such as "10s" or "7d"')


Duration = Annotated[
    int,
    BeforeValidator(_duration, json_schema_input_type=str),
    Field(json_schema_extra={"examples": ["10s", "1h30m", "5y"]}),
]
"""A duration in the file (``"10s"``), nanoseconds in the program."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class SmoothingSettings(_Table):
    """How the samples of a group are thinned out; nothing is thrown away unasked."""

    kind: SmoothingKind = SmoothingKind.NONE
    tolerance: float = Field(0.0, ge=0, description="in the element's unit; percent for the relative kinds")
    min_interval: Duration = "0s"  # type: ignore[assignment]
    heartbeat: Duration = Field("0s", description="longest silence; 0s is never")  # type: ignore[assignment]
    status_mask: int = Field(ALL_BITS, ge=0, le=ALL_BITS, description="status bits whose change is always stored")

    def to_model(self) -> Smoothing:
        """Return the model's value."""
        return Smoothing(self.kind, self.tolerance, self.min_interval, self.heartbeat, self.status_mask)


class GroupSettings(_Table):
    """An archive group."""

    name: str = Field(pattern=NAME)
    elements: tuple[str, ...] = Field(min_length=1, description="names, globs, or regex:<expression>")
    exclude: tuple[str, ...] = ()
    backends: tuple[str, ...] = Field(min_length=1)
    smoothing: SmoothingSettings = SmoothingSettings()
    retention: Duration = Field("0s", description="0s keeps for ever")  # type: ignore[assignment]
    segment: Duration = "1d"  # type: ignore[assignment]
    known_only: bool = Field(False, description="reject elements that were never described")

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


class LaneSettings(_Table):
    """How a lane writes to its backend."""

    flush_rows: int = Field(1_000_000, ge=1, description="samples that make a write")
    flush_interval: Duration = Field("5s", description="longest wait before a write")  # type: ignore[assignment]
    retry_first: Duration = "200ms"  # type: ignore[assignment]
    retry_longest: Duration = "30s"  # type: ignore[assignment]


class PluginSettings(BaseModel):
    """A named plug-in: its kind, and the keys that this kind knows."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(pattern=NAME)
    kind: str

    def options(self, group: str) -> Options:
        """Return the remaining keys as the `Options` of the plug-in's class.

        Raises
        ------
        ConfigurationError
            The kind is unknown or not installed.
        pydantic.ValidationError
            A key is unknown to it or has a wrong value.
        """
        options: type[Options] = registry.load(group, self.kind).Options
        return options.model_validate(self.model_extra or {})


class BackendSettings(PluginSettings):
    """A backend: its kind, how its lane writes, and the keys that this kind knows."""

    lane: LaneSettings = LaneSettings()


class SourceSettings(PluginSettings):
    """A source: its kind and the keys that this kind knows."""


class JournalSettings(BaseModel):
    """The journal: its kind, and the keys that this kind knows."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = "sqlite"


class IntakeSettings(_Table):
    """What the intake refuses."""

    future: Duration = Field("1h", description="how far ahead of the clock a source time may be")  # type: ignore[assignment]
    block: Duration = Field("2s", description="how long a source waits when the journal is full")  # type: ignore[assignment]


class LineProtocolRule(_Table):
    """How points of InfluxDB line protocol become elements.

    The first rule whose measurement and tags match gives the name: ``{measurement}``, ``{field}`` and ``{<tag>}``
    are filled in.
    """

    measurement: str = Field("*", description="glob")
    tags: Mapping[str, str] = Field(default_factory=dict, description="tag: glob, all must match")
    element: str = Field(description="template, such as {measurement}.{field}.{host}")


class ServerSettings(_Table):
    """Where the service listens."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    max_body_bytes: int = Field(256 * 2**20, ge=1024)


class Settings(_Table):
    """Everything the archive can be told."""

    data: Path = Field(Path("forebay-data"), description="the data directory; relative to the working directory")
    journal: JournalSettings = JournalSettings()
    intake: IntakeSettings = IntakeSettings()
    server: ServerSettings = ServerSettings()
    backends: tuple[BackendSettings, ...] = (
        BackendSettings(name="lake", kind="parquet"),
        BackendSettings.model_validate({"name": "warm", "kind": "sql", "url": "sqlite:///warm.db"}),
    )
    groups: tuple[GroupSettings, ...] = (GroupSettings(name="all", elements=("*",), backends=("lake", "warm")),)
    sources: tuple[SourceSettings, ...] = ()
    line_protocol: tuple[LineProtocolRule, ...] = ()

    def archive_groups(self) -> dict[str, ArchiveGroup]:
        """Return the groups by name, in the order of the file."""
        return {group.name: group.to_model() for group in self.groups}


def load(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a file, with the environment and then `overrides` over it.

    Parameters
    ----------
    path : Path, optional
        TOML; the embedded defaults when left out.
    environment : mapping, optional
        ``FOREBAY_<TABLE>__<KEY>`` sets a single value (``FOREBAY_SERVER__PORT=9000``); ``os.environ`` when left out.
    overrides : mapping, optional
        Dotted key to value (``{"server.port": 9000}``), as command line flags give; None values are ignored.

    Raises
    ------
    ConfigurationError
        With every problem found: key, value, fix.
    """
    document: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise ConfigurationError([f"{path}: cannot be read: {exc.strerror}"]) from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise ConfigurationError([f"{path}: not TOML: {exc}"]) from exc
    env = os.environ if environment is None else environment
    for name, text in env.items():
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            _set(document, name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), text)
    if env.get("FOREBAY_DATA"):
        document["data"] = env["FOREBAY_DATA"]
    for key, value in (overrides or {}).items():
        if value is not None:
            _set(document, key.split("."), value)
    return parse(document)


def parse(document: Mapping[str, Any]) -> Settings:
    """Return settings from a parsed document; see `load` for what it raises."""
    try:
        settings = Settings.model_validate(document)
    except ValidationError as exc:
        raise ConfigurationError([_explain(error, Settings) for error in exc.errors()]) from exc
    problems = _check_plugins(settings) + _check_references(settings)
    if problems:
        raise ConfigurationError(problems)
    return settings


def _set(document: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        document = document.setdefault(key, {})
    document[keys[-1]] = value


def _key(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _explain(error: Any, model: type[BaseModel], prefix: str = "") -> str:
    """Turn one pydantic error into `key = value: what is wrong, what to write`."""
    key = prefix + _key(error["loc"])
    value = error.get("input")
    if error["type"] == "extra_forbidden":
        name = str(error["loc"][-1])
        near = get_close_matches(name, _known_keys(model, error["loc"]), 1)
        return f"{key} = {value!r}: no such key; {f'did you mean {near[0]!r}?' if near else 'remove it'}"
    if error["type"] == "missing":
        return f"{key}: missing; add it"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "enum":
        near = get_close_matches(str(value), [kind.value for kind in SmoothingKind], 1)
        message += f"; did you mean {near[0]!r}?" if near else ""
    return f"{key} = {value!r}: {message}"


def _known_keys(model: Any, location: tuple[int | str, ...]) -> list[str]:
    for part in location[:-1]:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next((a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")), annotation)
    return list(getattr(model, "model_fields", ()))


def _check_plugins(settings: Settings) -> list[str]:
    problems: list[str] = []
    plugins: list[tuple[str, PluginSettings | JournalSettings, str]] = [
        ("journal", settings.journal, registry.JOURNALS)
    ]
    plugins += [(f"backends[{i}]", backend, registry.BACKENDS) for i, backend in enumerate(settings.backends)]
    plugins += [(f"sources[{i}]", source, registry.SOURCES) for i, source in enumerate(settings.sources)]
    for key, plugin, group in plugins:
        try:
            kind = registry.load(group, plugin.kind)
        except ConfigurationError as exc:
            problems += [f"{key}.{problem}" for problem in exc.problems]
            continue
        try:
            kind.Options.model_validate(plugin.model_extra or {})
        except ValidationError as exc:
            problems += [_explain(error, kind.Options, f"{key}.") for error in exc.errors()]
    return problems


def _check_references(settings: Settings) -> list[str]:
    problems: list[str] = []
    for table in ("backends", "groups", "sources"):
        seen: set[str] = set()
        for index, entry in enumerate(getattr(settings, table)):
            if entry.name in seen:
                problems.append(f"{table}[{index}].name = {entry.name!r}: used twice; give each its own name")
            seen.add(entry.name)
    known = [backend.name for backend in settings.backends]
    for index, group in enumerate(settings.groups):
        for name in group.backends:
            if name not in known:
                problems.append(
                    f"groups[{index}].backends = {name!r}: no such backend; defined are: {', '.join(known) or 'none'}"
                )
        try:
            group.to_model().matches("x")
        except ConfigurationError as exc:
            problems += [f"groups[{index}].smoothing.{problem}" for problem in exc.problems]
        except Exception as exc:  # noqa: BLE001 - re.error of a pattern that the user wrote
            problems.append(f"groups[{index}].elements = {list(group.elements)!r}: not a regular expression: {exc}")
    return problems
