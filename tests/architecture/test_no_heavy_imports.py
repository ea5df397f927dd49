"""What an import loads: an edge gateway starts in little memory only while nothing heavy sneaks in."""

import subprocess
import sys

import pytest

DRIVERS = {"sqlalchemy", "psycopg", "adbc_driver_postgresql", "deltalake", "duckdb", "polars", "pandas"}
LEARNING = {"torch", "sklearn", "scipy", "onnxruntime", "faust"}
WEB = {"fastapi", "starlette", "uvicorn", "httpx"}
COMPILER = {"numba", "llvmlite"}
CONFIGURATION = {"pydantic", "typer"}
PARSER = {"celpy", "lark", "pendulum", "re2"}


def loaded_by(module: str) -> set[str]:
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("archiver.model", DRIVERS | LEARNING | WEB | COMPILER | CONFIGURATION),
        ("archiver.ports", DRIVERS | LEARNING | WEB | COMPILER),
        ("archiver.smoothing", DRIVERS | LEARNING | WEB | COMPILER),
        ("archiver.config", DRIVERS | LEARNING | WEB | COMPILER),
        ("archiver.bootstrap", DRIVERS | LEARNING | WEB | COMPILER),
        ("analytics.events.expressions", DRIVERS | LEARNING | WEB | COMPILER | PARSER),
        ("archiver.cli", DRIVERS | LEARNING | WEB | COMPILER),
        ("analytics.alarms.life", DRIVERS | LEARNING | WEB | COMPILER | CONFIGURATION),
        ("analytics.alarms.statistics", DRIVERS | LEARNING | WEB | COMPILER | CONFIGURATION),
    ],
)
def test_an_import_loads_nothing_heavy(module, heavy):
    assert not loaded_by(module) & heavy
