"""The direction of imports, as contracts in pyproject.toml; and the doors through which plug-ins come in."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = [point for point in distribution("forebay").entry_points if point.group.startswith("forebay.")]


def test_the_contracts_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("point", OWN, ids=[f"{point.group}:{point.name}" for point in OWN])
def test_every_entry_point_resolves(point):
    assert callable(point.load())


def test_the_command_resolves():
    (point,) = distribution("forebay").entry_points.select(group="console_scripts", name="forebay")
    assert callable(point.load())
