"""`pip install forebay[testing]` brings what the contract suites import."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported_at_once(file: Path) -> set[str]:
    """Return the top-level packages that a module imports when it is imported itself."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names - set(sys.stdlib_module_names)


def test_the_extra_brings_what_the_suites_import():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["testing"]
    brought = {re.split(r"[^\w-]", requirement)[0] for requirement in wanted}
    files = sorted((ROOT / "archiver" / "testing").rglob("*.py"))
    assert files
    lacking = {str(file.relative_to(ROOT)): imported_at_once(file) - brought - {"archiver"} for file in files}
    assert {name: what for name, what in lacking.items() if what} == {}
