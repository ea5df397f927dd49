"""What is wrong with a document, in words: one line per problem, `key = value: what is wrong; what to write`.

Plug-ins and references are looked up in the document as written, so that they are reported beside wrong values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from archiver import registry
from archiver.config.notifying import NotifySettings
from archiver.config.plugins import NAME, PluginSettings
from archiver.config.settings import BackendSettings, JournalSettings, SourceSettings
from archiver.model import ConfigurationError, SmoothingKind
from archiver.model.near import near

OTHER_WORDS = {
    "deadband": "value",
    "value_deadband": "value",
    "relative_deadband": "value_relative",
    "on_change": "old_new",
    "min_interval": "time",
    "swingingdoor": "swinging_door",
}
"""What people write for a kind of smoothing, and its name here."""

_SECRET = re.compile(r"(password|secret|token)$", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*@")
_FIXES = {
    "missing": "missing; add it",
    "tuple_type": "must be a list: write [...], or [[...]] for a table that may come several times",
    "model_type": "must be a table: write { key = value, ... }",
    "dict_type": "must be a table: write { key = value, ... }",
    "too_short": "must not be empty; name at least one",
    "string_pattern_mismatch": "must be letters, digits, _ and - only",
}


def explain(error: Any, model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the problems that one pydantic error stands for.

    Parameters
    ----------
    error : dict
        As from ``ValidationError.errors()``.
    model : type of BaseModel
        What was validated: its keys are proposed in place of unknown ones.
    prefix : str
        Where in the file `model` is, with the dot.
    """
    key = prefix + _key(error["loc"])
    value = "***" if _SECRET.search(key) else error.get("input")
    kind = error["type"]
    if kind == "problems":
        return [f"{key}.{problem}" for problem in error["ctx"]["problems"]]
    if kind == "extra_forbidden":
        fix = _nearest(str(error["loc"][-1]), _known_keys(model, error["loc"][:-1]))
        return [f"{key} = {_short(value)}: no such key; {fix}"]
    if kind == "missing":
        return [f"{key}: {_FIXES[kind]}"]
    if kind == "too_short" and value:
        if error["ctx"]["actual_length"] < len(value):  # entries of it are wrong, and reported
            return []
        return [f"{key} = {_short(value)}: must have at least {error['ctx']['min_length']} entries"]
    message = _FIXES.get(kind) or error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind == "string_pattern_mismatch" and error["ctx"]["pattern"] != NAME:
        message = f"must match {error['ctx']['pattern']}"
    if kind == "enum":
        message = (
            f"no such kind of smoothing; {_nearest(str(value), [kind.value for kind in SmoothingKind], OTHER_WORDS)}"
        )
    return [f"{key} = {_short(value)}: {message}"]


def plugin_problems(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the kinds of journal, backends, sources and notifiers, and with the keys of a kind."""
    problems: list[str] = []
    for key, table, base, group in _plugins(document):
        try:
            options = registry.load(group, table["kind"]).Options
        except ConfigurationError as exc:
            problems += [f"{key}.{problem}" for problem in exc.problems]
            continue
        try:
            options.model_validate({name: value for name, value in table.items() if name not in base.model_fields})
        except ValidationError as exc:
            problems += [problem for error in exc.errors() for problem in explain(error, options, f"{key}.")]
    return problems


def reference_problems(document: Mapping[str, Any]) -> list[str]:
    """Return names that are used twice, and groups that name a backend which is not there."""
    problems: list[str] = []
    for table in ("backends", "groups", "sources", "alarm_classes", "notify"):
        counts = Counter(entry.get("name") for _, entry in _entries(document, table))
        for index, entry in _entries(document, table):
            if counts[entry.get("name")] > 1 and entry.get("name") is not None:
                problems.append(f"{table}[{index}].name = {entry['name']!r}: used twice; give each its own name")
    known = [str(entry["name"]) for _, entry in _entries(document, "backends") if "name" in entry]
    for index, group in _entries(document, "groups"):
        names = group.get("backends")
        for place, name in enumerate(names if isinstance(names, list | tuple) else ()):
            if isinstance(name, str) and name not in known:
                problems.append(
                    f"groups[{index}].backends[{place}] = {name!r}: no such backend; {_nearest(name, known)}"
                )
    return problems


def _plugins(
    document: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, Any], type[PluginSettings | JournalSettings], str]]:
    """Yield key, table, settings class and entry-point group of each table that names a kind."""
    journal = document.get("journal", {})
    if isinstance(journal, Mapping):
        yield "journal", {"kind": JournalSettings().kind, **journal}, JournalSettings, registry.JOURNALS
    for name, base, group in (
        ("backends", BackendSettings, registry.BACKENDS),
        ("sources", SourceSettings, registry.SOURCES),
        ("notify", NotifySettings, registry.NOTIFIERS),
    ):
        for index, table in _entries(document, name):
            if isinstance(table.get("kind"), str):
                yield f"{name}[{index}]", table, base, group


def _entries(document: Mapping[str, Any], table: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the well-formed entries of an array of tables, with their index."""
    entries = document.get(table)
    if not isinstance(entries, list | tuple):
        return []
    return [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, Mapping)]


def _key(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _short(value: Any) -> str:
    """Return a value as it is shown: without a password that is part of an address, and not too long."""
    text = _PASSWORD.sub(r"\1***@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _nearest(name: str, known: list[str], other_words: Mapping[str, str] | None = None) -> str:
    """Return what to write instead of a name that does not exist."""
    words = {word: word for word in known} | dict(other_words or {})
    if found := near(name, words, 1):
        return f"did you mean {words[found[0]]!r}?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def _known_keys(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the table at a location inside a model."""
    for part in location:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next((a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")), annotation)
    return list(getattr(model, "model_fields", ()))
