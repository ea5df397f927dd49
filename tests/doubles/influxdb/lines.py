"""Which lines of a body do not parse: InfluxDB 2 refuses the whole body for one of them, InfluxDB 1 only that line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

_KEY = rb"(?:[^\s,=\\\"]|\\[ ,=])+"
_VALUE = (
    rb"(?:-?\d{1,17}(?:\.\d{1,25})?(?:[eE][-+]?\d\d?)?|-?\d{1,18}i|[tTfF]|[tT]rue|TRUE|[fF]alse|FALSE"
    rb'|"(?:[^"\\]|\\.)*")'
)
_PAIR = _KEY + b"=" + _VALUE
SURELY = re.compile(
    rb"(?!#)"
    + _KEY
    + rb"(?:,(?!(?:time|_field|_measurement)=)"
    + _KEY
    + b"="
    + _KEY
    + rb")* +"
    + _PAIR
    + rb"(?:,"
    + _PAIR
    + rb")*(?: +-?\d{1,18})? *(?:\n|\Z)",
    re.DOTALL,
)
"""A line that surely parses."""
_LINE = re.compile(rb'(?:\\.|[^\\\n ])*(?: (?:\\.|="(?:\\.|[^"\\])*(?:"|\Z)|[^\\\n])*)?', re.DOTALL)
"""A line as the server cuts it: a line break in a string does not end it."""
_LONGEST = 60_000

Ask = Callable[[bytes], tuple[int, bytes]]
"""Posts a line to the real server, for a retention policy that does not exist, and gives its answer."""


def refused(body: bytes, ask: Ask) -> Iterator[str]:
    """Yield what a real server says of each line of a body that does not parse."""
    place = 0
    while place < len(body):
        sure = SURELY.match(body, place)
        if sure and sure.end() - place < _LONGEST:
            place = sure.end()
            continue
        doubtful = _LINE.match(body, place)
        assert doubtful is not None
        place = doubtful.end() + 1
        status, content = ask(doubtful[0])
        said = json.loads(content or b"{}").get("error", "") if status == 400 else ""
        if "unable to parse" in said:
            yield said
