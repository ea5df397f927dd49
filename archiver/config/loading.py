"""From a file, the environment and flags to `Settings`, or to the list of everything that is wrong."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archiver.config.problems import explain, plugin_problems, reference_problems
from archiver.config.settings import Settings, with_defaults
from archiver.model import ConfigurationError

ENVIRONMENT_PREFIX = "FOREBAY_"
FILE = "forebay.toml"
LAST_RUN_FILE = "settings.json"
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def locate(path: Path | None, data: Path | None) -> Path | None:
    """Return the file that the settings of an archive come from.

    One named by the caller; else ``forebay.toml`` in its data directory; else what it was last run with, which it
    keeps there; else None, for the embedded defaults.
    """
    if path is not None or data is None:
        return path
    return next((file for file in (data / FILE, data / LAST_RUN_FILE) if file.is_file()), None)


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
        TOML, or JSON by its ending; the embedded defaults when left out.
    environment : mapping, optional
        ``FOREBAY_<TABLE>__<KEY>`` sets a single value (``FOREBAY_SERVER__PORT=9000``), ``FOREBAY_DATA`` the data
        directory; ``os.environ`` when left out.
    overrides : mapping, optional
        Dotted key to value (``{"server.port": 9000}``), as command line flags give; None values are ignored.

    Raises
    ------
    ConfigurationError
        With every problem found: key, value, fix.
    """
    document = _anchored(_read(path), path.parent) if path is not None else {}
    env = os.environ if environment is None else environment
    for name, text in env.items():
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            _set(document, name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), text, name)
    if env.get("FOREBAY_DATA"):
        document["data"] = env["FOREBAY_DATA"]
    for key, value in (overrides or {}).items():
        if value is not None:
            _set(document, key.split("."), value, key)
    return parse(document)


def parse(document: Mapping[str, Any]) -> Settings:
    """Return settings from a parsed document; see `load` for what it raises."""
    settings = None
    problems = []
    try:
        settings = Settings.model_validate(document)
    except ValidationError as exc:
        problems = [problem for error in exc.errors() for problem in explain(error, Settings)]
    filled = with_defaults(document)
    problems += plugin_problems(filled) + reference_problems(filled)
    if settings is None or problems:
        raise ConfigurationError(problems)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            document: dict[str, Any] = json.loads(text)
            return document
        return tomllib.loads(text)
    except OSError as exc:
        raise ConfigurationError([f"{path}: cannot be read: {exc.strerror}"]) from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError([f"{path}: not UTF-8 at byte {exc.start}; save it as UTF-8"]) from exc
    except json.JSONDecodeError as exc:
        raise ConfigurationError([f"{path}: not JSON: {exc}"]) from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError([_syntax_problem(path, text, str(exc))]) from exc


def _anchored(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a document in which files of rules are found from wherever it is looked at: they lie beside its file."""
    events = document.get("events")
    if not isinstance(events, dict) or not isinstance(files := events.get("rules"), list):
        return document
    found = [str((folder / file).absolute()) if isinstance(file, str) else file for file in files]
    return {**document, "events": {**events, "rules": found}}


def _syntax_problem(path: Path, text: str, message: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return f"{path}: not TOML: {message}"
    line, column = int(place[1]), place[2]
    return f"{path}, line {line}, column {column}: not TOML: {message[: place.start()]}: {text.splitlines()[line - 1]}"


def _set(document: dict[str, Any], keys: list[str], value: Any, origin: str) -> None:
    for depth, key in enumerate(keys[:-1]):
        document = document.setdefault(key, {})
        if not isinstance(document, dict):
            table = ".".join(keys[: depth + 1])
            raise ConfigurationError(
                [f"{origin} = {value!r}: {table} is not a table of single keys; set it in the file"]
            )
    document[keys[-1]] = value
