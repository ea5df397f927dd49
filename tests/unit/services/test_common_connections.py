"""How many connections are taken, from what the process may open."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from archiver.model import ConfigurationError
from services.common.connections import most_connections

RAISED = """
import resource
from services.common.connections import raise_file_limit
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (128, {hard}))
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("configured", "files", "most"),
    [(0, 256, 128), (0, 1024, 512), (0, 2**20, 10_000), (20_000, 2**20, 20_000), (512, 1024, 512), (0, 1, 1)],
)
def test_as_many_as_half_of_the_files(configured: int, files: int, most: int) -> None:
    assert most_connections(configured, files) == most


def test_more_than_the_files_allow_is_told_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as caught:
        most_connections(513, 1024)
    (problem,) = caught.value.problems
    assert problem.startswith("server.max_connections = 513: ")
    assert "512 or less" in problem
    assert "1026 files" in problem


def raised(hard: str) -> list[int]:
    """Return what a process says of its limit that starts with 128 files: the answer, and both limits afterwards."""
    command = [sys.executable, "-c", RAISED.format(hard=hard)]
    return [int(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert raised("200") == [200, 200, 200]


def test_a_limit_that_is_beyond_all_need_stays_where_it_is() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    found, soft, still = raised("hard")
    assert still == hard
    assert found == soft <= 2**20
