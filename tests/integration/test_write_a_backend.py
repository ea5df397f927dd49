"""The backend and the source of the how-to pages, built from the pages themselves as distributions of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.testing.service import COMMAND

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/how-to"
FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECORDED = "time,T1\n2026-01-01T00:00:00Z,20.5\n2026-01-01T00:00:01Z,21.5\n"


def run(*words: object, cwd: Path, site: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(site), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "PIP_NO_INDEX": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True)


def written(page: str, folder: Path) -> Path:
    """Write the files that a page shows into a folder."""
    for name, content in FILE.findall((PAGES / page).read_text(encoding="utf-8")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def installed(project: Path, place: Path) -> Path:
    """Install a distribution into a folder, without network."""
    pytest.importorskip("hatchling", reason="hatchling is not installed (the group build)")
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--no-compile", "--target", place]
    done = run(sys.executable, "-m", "pip", "install", *options, project, cwd=project, site=place)
    assert done.returncode == 0, done.stderr
    return place


def passed(project: Path, site: Path) -> int:
    """Run the tests of a distribution where it is installed; return how many passed."""
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", cwd=project, site=site)
    assert done.returncode == 0, done.stdout[-4000:]
    found = re.search(r"(\d+) passed", done.stdout)
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("write-a-backend.md", tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(project, tmp_path_factory.mktemp("site"))


def test_the_page_shows_every_file_and_stays_short(project: Path):
    python = sorted(project.rglob("*.py"))
    assert [file.name for file in python] == ["__init__.py", "records.py", "test_contract.py"]
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in python if "src" in file.parts) < 200


@pytest.mark.parametrize("page", ["write-a-backend.md", "write-a-source.md"])
def test_it_is_clean(page: str, tmp_path: Path):
    pytest.importorskip("ruff", reason="ruff is not installed (the group dev)")
    written(page, tmp_path)
    for verb in (["check"], ["format", "--check"]):
        done = run(sys.executable, "-m", "ruff", *verb, "--line-length", "120", tmp_path, cwd=tmp_path, site=tmp_path)
        assert done.returncode == 0, done.stdout


def test_the_backend_passes_the_contract_suite_as_a_distribution_of_its_own(project: Path, site: Path):
    assert passed(project, site) > 100


def test_the_source_passes_the_contract_suite_as_a_distribution_of_its_own(tmp_path: Path):
    project = written("write-a-source.md", tmp_path / "project")
    site = installed(project, tmp_path / "site")
    assert passed(project, site) > 5
    sources = '[[sources]]\nname = "lines"\nkind = "counter"\nfile = "plant.log"\ninterval_s = 10\n'
    backends = '[[backends]]\nname = "lake"\nkind = "memory"\n[[groups]]\nname = "all"\nelements = ["*"]\n'
    (tmp_path / "forebay.toml").write_text(f'{sources}{backends}backends = ["lake"]\n')
    done = run(*COMMAND, "check", "forebay.toml", cwd=tmp_path, site=site)
    assert done.returncode == 0, done.stderr


def test_an_archive_stores_in_it_by_its_name(project: Path, site: Path, tmp_path: Path):
    (tmp_path / "forebay.toml").write_text((project / "forebay.toml").read_text(encoding="utf-8"))
    (tmp_path / "recorded.csv").write_text(RECORDED)

    def forebay(*words: object) -> subprocess.CompletedProcess[str]:
        done = run(*COMMAND, *words, cwd=tmp_path, site=site)
        assert done.returncode == 0, done.stderr
        return done

    assert "1 backends" in forebay("check", "forebay.toml").stdout
    forebay("replay", "recorded.csv", "--time", "time", "--data", tmp_path)
    assert (tmp_path / "notes.log").stat().st_size > 0
    rows = forebay("query", "T1", "--from", "2026-01-01T00:00:00Z", "--data", tmp_path).stdout.splitlines()
    assert [row.split(",")[2] for row in rows[1:]][:2] == ["20.5", "21.5"]
    without = subprocess.run(
        [*COMMAND, "check", "forebay.toml"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert without.returncode == 2
    assert "logfile" in without.stderr
