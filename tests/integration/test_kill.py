"""The short form of `make kill-test`: one SIGKILL at every seam."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_test.py"


@pytest.mark.timeout(7200)
def test_a_kill_at_every_seam_loses_and_doubles_nothing():
    done = subprocess.run([sys.executable, SCRIPT, "--rounds", "19"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none lost, none doubled" in done.stdout
