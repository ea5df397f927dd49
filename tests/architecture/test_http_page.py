"""The page on the HTTP interface names all that the interface has, and nothing that it has not."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/http-api.md"
_OPENAPI = json.loads((ROOT / "deploy/schemas/openapi.json").read_text(encoding="utf-8"))
_METHODS = ("GET", "PUT", "POST", "DELETE")
NAMED = re.compile(rf"`({'|'.join(_METHODS)}) (/[^`?\s]*)")
OURS = ("/v1/", "/health/", "/api/v2/", "/metrics")
"""The paths that the description is of; others are the contracts of others."""


def plain(path: str) -> str:
    """Return a path with one word for all that may stand for a parameter."""
    return re.sub(r"\{\w+\}|\b(ID|NAME)\b", "*", path)


def named() -> set[tuple[str, str]]:
    """Return method and path of all requests on the page."""
    text = PAGE.read_text(encoding="utf-8")
    listed = re.sub(r"`(POST|GET) (/[^`]+)`, `(/[^`]+)`", r"`\1 \2`, `\1 \3`", text)
    return {(method, plain(path)) for method, path in NAMED.findall(listed)}


def test_each_request_is_on_the_page():
    there = {
        (method.upper(), plain(path))
        for path, methods in _OPENAPI["paths"].items()
        for method in methods
        if method.upper() in _METHODS
    }
    assert sorted(there - named()) == []


def test_the_page_names_no_request_that_there_is_not():
    paths = {plain(path) for path in _OPENAPI["paths"]}
    assert sorted(path for _, path in named() if path.startswith(OURS) and path not in paths) == []


def test_each_type_of_problem_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    types = json.dumps(_OPENAPI)
    found = set(re.findall(r"urn:forebay:problem:([a-z-]+)", types))
    assert found
    assert sorted(name for name in found if f"`{name}`" not in text) == []
