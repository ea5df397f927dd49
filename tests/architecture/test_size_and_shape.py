"""Sizes of files and functions, and a docstring on every public name."""

import ast
from pathlib import Path
from statistics import quantiles

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for top in ("archiver", "analytics", "services", "bench") for path in (ROOT / top).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def percentile_90(values: list[int]) -> float:
    return quantiles(values, n=10, method="inclusive")[-1]


def functions() -> dict[str, int]:
    return {
        f"{name}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTION)
    }


def test_files_stay_small():
    sizes = {path.relative_to(ROOT).as_posix(): lines(path) for path in FILES if path.name != "__init__.py"}
    assert {name: size for name, size in sizes.items() if size > 600} == {}
    assert percentile_90(list(sizes.values())) <= 400


def test_functions_stay_small():
    sizes = functions()
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert percentile_90(list(sizes.values())) <= 32


@pytest.mark.parametrize("name", [name for name in TREES if not name.startswith("bench/")])
def test_every_public_name_has_a_docstring(name):
    tree = TREES[name]
    bare = [] if ast.get_docstring(tree) else ["the module"]
    for parent in ast.walk(tree):
        if isinstance(parent, ast.Module) or (isinstance(parent, ast.ClassDef) and not parent.name.startswith("_")):
            bare += [
                node.name
                for node in parent.body
                if isinstance(node, FUNCTION | ast.ClassDef)
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
            ]
    assert not bare
