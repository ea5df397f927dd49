"""Names as InfluxDB can hold them: in tags, and in statements.

A tag cannot hold a line break, an empty text, or a backslash before a comma. So in the tag ``element`` control
characters, backslashes and percent signs are written as ``%`` and two hexadecimal digits of each byte, and the empty
name as a lone ``%``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote_to_bytes

NAMES_PER_QUERY = 1000
"""Names in one condition: of 1.6.7 each costs least then, and no more than without a condition."""
_UNFIT = re.compile(r"[%\\\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPECIAL = re.compile(r"([,= ])")


def tag_value(name: str) -> str:
    r"""Return an element name as a tag holds it; two names never become one.

    Examples
    --------
    >>> tag_value("50% of\nit")
    '50%25 of%0Ait'
    """
    return _UNFIT.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), name) or "%"


def element_name(value: str) -> str:
    r"""Return the element name of a tag value: the inverse of `tag_value`.

    Examples
    --------
    >>> element_name("50%25 of%0Ait")
    '50% of\nit'
    """
    return value if "%" not in value else "" if value == "%" else unquote_to_bytes(value).decode()


def escaped(value: str) -> str:
    """Return a tag value, or a tag key, as line protocol writes it."""
    return _SPECIAL.sub(r"\\\1", value)


def identifier(name: str) -> str:
    """Return a quoted identifier of InfluxQL."""
    return _quoted(name, '"')


def literal(text: str) -> str:
    """Return a string literal of InfluxQL."""
    return _quoted(text, "'")


def _quoted(text: str, quote: str) -> str:
    inner = text.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")
    return f"{quote}{inner}{quote}"


def runs(names: Sequence[str], value_of: Callable[[str], str] = tag_value) -> Iterator[list[str]]:
    """Yield names in sorted order, in runs whose tag values sort the same way: what one query gives in order."""
    run: list[str] = []
    before = b""
    for name in sorted(set(names)):
        value = value_of(name).encode()
        if run and (value <= before or len(run) == NAMES_PER_QUERY):
            yield run
            run = []
        run.append(name)
        before = value
    if run:
        yield run


def one_of(tag: str, values: Sequence[str]) -> str:
    """Return the InfluxQL condition that a tag has one of some values.

    A tree of pairs: what the server does with a chain grows with the square of its length.

    Examples
    --------
    >>> print(one_of("element", ["a", "b", "c"]))
    ((("element" = 'a' OR "element" = 'b') OR ("element" = 'c')))
    """
    parts = [f"{identifier(tag)} = {literal(value)}" for value in values]
    while len(parts) > 1:
        parts = [f"({' OR '.join(parts[place : place + 2])})" for place in range(0, len(parts), 2)]
    return f"({parts[0]})"
