"""No file names a package registry's host or a path of somebody's machine: pins install from wherever pip is told."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTS = [
    *("pypi" + ".org", "pythonhosted" + ".org", "crates" + ".io", "npmjs" + ".org", "npmjs" + ".com"),
    *("proxy.golang" + ".org", "repo1.maven" + ".org", "repo.maven.apache" + ".org", "deb.debian" + ".org"),
]
FORBIDDEN = re.compile(
    "|".join([*map(re.escape, HOSTS), r"/(?:home|Users)/\w+/", "/wor" + r"k/\w", "--index" + "-url"])
)


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout, to know which files belong to the project")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_registry_host_or_a_machines_path():
    found = {}
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        hits = {match[0] for match in FORBIDDEN.finditer(text)}
        if hits:
            found[path.relative_to(ROOT).as_posix()] = hits
    assert found == {}
