"""The trees of `celpy`'s parser: what they say, without the rules that say nothing."""

from __future__ import annotations

from typing import Any

Node = Any
"""A tree or a token of `lark`: the children of a tree are either."""
_PLAIN = frozenset(
    ("expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary", "member", "primary")
)
_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%"}


def unwrapped(tree: Node) -> Node:
    """Return what a tree says that has nothing of its own to say."""
    while tree.data in _PLAIN and len(tree.children) == 1:
        tree = tree.children[0]
    return tree


def operands(tree: Node) -> list[Node]:
    """Return what operators that bind equally join, from left to right.

    Without recursion, as there may be very many.
    """
    rule, found = tree.data, []
    while tree.data == rule and len(tree.children) == 2:
        found.append(tree.children[1])
        tree = tree.children[0]
        tree = tree if tree.data == rule else tree.children[0]
    return [tree, *reversed(found)]


def operators(tree: Node) -> list[str]:
    """Return the operators of a chain of arithmetic, from left to right."""
    found = []
    while len(tree.children) == 2:
        found.append(_OPERATORS[tree.children[0].data.partition("_")[2]])
        tree = tree.children[0].children[0]
    return found[::-1]


def given(lists: list[Node]) -> list[Node]:
    """Return the arguments in a list of arguments, which is left out where there are none."""
    return list(lists[0].children) if lists else []


def place(node: Node) -> tuple[int, int]:
    """Return the first character of a tree or token, and the one after its last."""
    where = node if hasattr(node, "start_pos") else node.meta
    return where.start_pos, where.end_pos
