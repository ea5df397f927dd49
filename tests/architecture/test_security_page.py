"""The page on security says what there is of each requirement of IEC 62443-4-2; each row names a test that shows it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/security.md"
ROW = re.compile(r"^\| FR (\d), [^|]+\|([^|]+)\|([^|]+)\| `([^`:]+)::(\w+)` \|$", re.MULTILINE)


def test_each_of_the_seven_requirements_has_a_row_and_a_test_that_is_there():
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert [int(number) for number, *_ in rows] == [1, 2, 3, 4, 5, 6, 7]
    for number, exists, lacks, file, name in rows:
        assert exists.strip(), number
        assert lacks.strip(), f"FR {number}: what does not exist is the more useful half"
        tests = {
            node.name for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body if hasattr(node, "name")
        }
        assert name in tests, f"{file}::{name}"
