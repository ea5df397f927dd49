"""The notebook of the tutorials, run from top to bottom on a live archive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.testing.service import running_service, until

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorials" / "python-client.ipynb"
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
print(nbformat.writes(notebook))
"""
CONFIG = """
[[sources]]
name = "plant"
kind = "simulator"

[[backends]]
name = "lake"
kind = "parquet"
"""


def test_it_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="needs nbclient, ipykernel and matplotlib: make test installs them")
    httpx = pytest.importorskip("httpx")
    (tmp_path / "forebay.toml").write_text(CONFIG)
    with running_service(tmp_path) as service:
        assert until(lambda: httpx.get(f"{service.url}/v1/elements?pattern=*BEAM:CURRENT").json()["total"])
        environment = {**os.environ, "FOREBAY_URL": service.url, "MPLBACKEND": "agg", "PYTHONWARNINGS": ""}
        command = [sys.executable, "-c", RUN, str(NOTEBOOK)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = [cell for cell in json.loads(done.stdout)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    texts = json.dumps(cells)
    for said in ("BEAM:CURRENT", "True []", "'buffered'", "notebook:probe"):
        assert said in texts, said


def test_it_is_kept_without_output() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
