"""Which element a field of a line belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from archiver.config import LineProtocolRule
from archiver.sources.line_protocol.grammar import parse_key, unescape

ELEMENT_TAG = "element"
VALUE_FIELD = "value"
STATUS_FIELD = "status"
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_SPECIAL = re.compile(r"([,=])")


@dataclass(frozen=True, slots=True)
class Series:
    """Measurement and tags of a line.

    Examples
    --------
    >>> series = Series.parse(b"cpu,host=a,cpu=cpu0")
    >>> series.name("usage", ())
    'cpu.usage,cpu=cpu0,host=a'
    >>> Series.parse(b"m,element=T1").name("value", ())
    'T1'
    """

    measurement: str
    tags: dict[str, str]

    @classmethod
    def parse(cls, key: bytes) -> Series:
        """Return the series of a key; raises `LineError`."""
        return cls(*parse_key(key))

    @property
    def element(self) -> str | None:
        """The element that the line names itself, None when it has no such tag."""
        return self.tags.get(ELEMENT_TAG)

    def field_name(self, key: bytes, rules: Sequence[LineProtocolRule]) -> str:
        """Return the element of a field key as it stands in the line."""
        return self.name(unescape(key), rules)

    def name(self, field: str, rules: Sequence[LineProtocolRule]) -> str:
        """Return the element of a field.

        The tag ``element`` decides; else the first rule that matches and whose template this line can fill; else
        it is ``measurement.field`` and the tags sorted by key, with commas and equals signs in them escaped, so
        that two series never share a name.
        """
        if self.element is not None:
            return self.element if field == VALUE_FIELD else f"{self.element}.{field}"
        parts = {**self.tags, "measurement": self.measurement, "field": field}
        for rule in rules:
            if self._matches(rule) and all(name in parts for name in _PLACEHOLDER.findall(rule.element)):
                return _PLACEHOLDER.sub(lambda match: parts[match.group(1)], rule.element)
        tags = "".join(f",{_escape(key)}={_escape(value)}" for key, value in sorted(self.tags.items()))
        return f"{self.measurement}.{field}{tags}"

    def _matches(self, rule: LineProtocolRule) -> bool:
        return fnmatchcase(self.measurement, rule.measurement) and all(
            tag in self.tags and fnmatchcase(self.tags[tag], glob) for tag, glob in rule.tags.items()
        )


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
