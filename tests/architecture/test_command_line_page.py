"""The page of the command line says what the commands say of themselves."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_command_line_is_current():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/command_line.py"], capture_output=True, text=True, check=True
    )
    page = (ROOT / "docs/reference/command-line.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run: scripts/command_line.py > docs/reference/command-line.md"
