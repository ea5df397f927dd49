"""Rules of files and requests: parsed, checked as a whole, or told everything that is wrong with them."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analytics.events.rules.documents import KINDS, Rule
from archiver.config.problems import explain
from archiver.model import ConfigurationError
from archiver.model.near import did_you_mean


def load(path: Path) -> list[Rule]:
    """Return the rules of a file, TOML, YAML or JSON by its ending.

    Raises
    ------
    ConfigurationError
        With every problem found: file, key, value, fix.
    """
    try:
        return parse(_read(path))
    except ConfigurationError as exc:
        raise ConfigurationError([f"{path}: {problem}" for problem in exc.problems]) from exc


def parse(document: Any) -> list[Rule]:
    """Return the rules of a document that is parsed: a table with an array `rules`.

    Raises
    ------
    ConfigurationError
        With every problem found: key, value, fix.
    """
    if not isinstance(document, Mapping) or set(document) - {"rules"}:
        other = sorted(set(document) - {"rules"}) if isinstance(document, Mapping) else []
        named = f"{other[0]}: no such key; " if other else ""
        raise ConfigurationError([f"{named}rules are written as tables: [[rules]]"])
    tables = document.get("rules", [])
    if not isinstance(tables, list):
        raise ConfigurationError(["rules: must be a list of tables: write [[rules]]"])
    rules, problems = list[Rule](), list[str]()
    for place, table in enumerate(tables):
        try:
            rules.append(parse_rule(table, f"rules[{place}]."))
        except ConfigurationError as exc:
            problems += exc.problems
    counts = Counter(rule.name for rule in rules)
    problems += [
        f"rules: name = {name!r} is used {count} times; give each its own"
        for name, count in counts.items()
        if count > 1
    ]
    if problems:
        raise ConfigurationError(problems)
    return rules


def parse_rule(table: Any, prefix: str = "") -> Rule:
    """Return one rule.

    Parameters
    ----------
    table : mapping
    prefix : str
        Where it is, with the dot.

    Raises
    ------
    ConfigurationError
        With every problem found: key, value, fix.
    """
    if not isinstance(table, Mapping):
        raise ConfigurationError([f"{prefix.rstrip('.')}: must be a table with name, kind and what the kind needs"])
    kind = table.get("kind")
    if kind is None:
        raise ConfigurationError([f"{prefix}kind: missing; add it: {', '.join(KINDS)}"])
    if kind not in KINDS:
        fix = did_you_mean(str(kind), list(KINDS), f"there are: {', '.join(KINDS)}")
        raise ConfigurationError([f"{prefix}kind = {kind!r}: no such kind of rule; {fix}"])
    model = KINDS[kind]
    try:
        return model.model_validate(table)
    except ValidationError as exc:
        raise ConfigurationError([line for error in exc.errors() for line in explain(error, model, prefix)]) from exc


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError([f"cannot be read: {exc.strerror}"]) from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError([f"not UTF-8 at byte {exc.start}; save it as UTF-8"]) from exc
    if path.suffix in (".yaml", ".yml"):
        import yaml

        try:
            return yaml.safe_load(text) or {}
        except yaml.YAMLError as exc:
            raise ConfigurationError([f"not YAML: {' '.join(str(exc).split())}"]) from exc
    try:
        return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as exc:
        raise ConfigurationError([f"not {'JSON' if path.suffix == '.json' else 'TOML'}: {exc}"]) from exc
