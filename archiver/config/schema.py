"""The JSON Schema of the configuration file, for editors and for the reference page."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from archiver import registry
from archiver.config.notifying import NotifySettings
from archiver.config.plugins import PluginSettings
from archiver.config.settings import BackendSettings, JournalSettings, Settings, SourceSettings

_TABLES: tuple[tuple[type[PluginSettings | JournalSettings], str], ...] = (
    (JournalSettings, registry.JOURNALS),
    (BackendSettings, registry.BACKENDS),
    (SourceSettings, registry.SOURCES),
    (NotifySettings, registry.NOTIFIERS),
)


def json_schema() -> dict[str, Any]:
    """Return the schema of the whole file; a table that names a kind allows the keys of that installed kind.

    Raises
    ------
    ConfigurationError
        An installed plug-in cannot be loaded, since an extra that it needs is missing.
    """
    kinds = {
        (table.__name__, name): registry.load(group, name).Options
        for table, group in _TABLES
        for name in registry.names(group)
    }
    models = [Settings, *dict.fromkeys(kinds.values())]
    references, document = models_json_schema([(model, "validation") for model in models])
    definitions = document["$defs"]
    for table, _ in _TABLES:
        definitions[table.__name__]["allOf"] = [
            _when(kind, definitions[table.__name__], _resolve(references[options, "validation"], definitions))
            for (owner, kind), options in kinds.items()
            if owner == table.__name__
        ]
    for reference in (references[model, "validation"] for model in models[1:]):
        definitions.pop(_name(reference), None)
    root = definitions.pop("Settings")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "forebay.toml",
        "$defs": definitions,
    }


def _when(kind: str, table: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the rule that a table of this kind has the keys of the table and of the kind, and no others."""
    properties = options.get("properties", {})
    then: dict[str, Any] = {
        "properties": properties,
        "propertyNames": {"enum": sorted({*table["properties"], *properties})},
    }
    if "required" in options:
        then["required"] = options["required"]
    chosen: dict[str, Any] = {"properties": {"kind": {"const": kind}}}
    if "default" not in table["properties"]["kind"]:
        chosen["required"] = ["kind"]
    return {"if": chosen, "then": then}


def _resolve(reference: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    resolved: dict[str, Any] = definitions[_name(reference)]
    return resolved


def _name(reference: Any) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
