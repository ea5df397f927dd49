"""The page about expressions: what it writes can be read, and its mistakes are told as it says."""

import re
from pathlib import Path

import pytest

from analytics.events.expressions import Expression, ExpressionError, Shape
from analytics.events.expressions.checking import FUNCTIONS, METHODS

PAGE = (Path(__file__).parents[3] / "docs/reference/expressions.md").read_text(encoding="utf-8")
NAMES = {
    **dict.fromkeys(("value", "inlet", "outlet", "a", "b"), Shape.NUMBER),
    **dict.fromkeys(("valve", "mode", "t"), Shape.TEXT),
    "pump": Shape.BOOL,
}
WRITTEN = [line for block in re.findall(r"```cel\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
MISTAKES = re.findall(r"```text\n(.*?)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", WRITTEN)
def test_what_the_page_writes_can_be_read(text):
    assert Expression.parse(text, NAMES).words()


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_mistakes_are_told_as_the_page_says(text, told):
    with pytest.raises(ExpressionError) as caught:
        Expression.parse(text, NAMES)
    assert str(caught.value) == told.rstrip("\n")


def test_the_page_names_every_function():
    named = set(re.findall(r"[A-Za-z.]*[A-Za-z]", PAGE))
    assert not {*FUNCTIONS, "has"} - named
    assert not set(METHODS) - {name.rpartition(".")[2] for name in named}
