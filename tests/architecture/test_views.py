"""Routes get the archive as their caller has it (`services.common.security.View`); the whole of it is for a few."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
WHOLE = {
    "services/archive/routes/health.py": "readiness and metrics: of the process; samples are counted by the view",
    "services/archive/routes/administration.py": "for callers of all archive groups only",
}


def names_of(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return imported & {"TheArchive", "archive_of", "Archive"} | read & {"_archive"}


def test_routes_do_not_go_around_the_view():
    files = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "services").glob("*/routes/**/*.py")}
    assert len(files) > 8
    around = {name: found for name, file in files.items() if (found := names_of(file)) and name not in WHOLE}
    assert around == {}
    assert WHOLE.keys() <= files.keys()
