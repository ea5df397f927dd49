"""What the tables of plug-ins have in common, and the patterns by which things are chosen."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from archiver import registry
from archiver.model import ArchiveGroup
from archiver.ports import Options

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]*$"


def _pattern(value: str) -> str:
    try:
        ArchiveGroup("", (value,), ()).matches("")
    except re.error as exc:
        raise ValueError(f"not a regular expression: {exc}") from exc
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A name, a glob, or a regular expression after ``regex:``."""


class PluginSettings(BaseModel):
    """A named plug-in: its kind, and the keys that this kind knows."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(pattern=NAME, description="letters, digits, _ and -")
    kind: str = Field(description="which plug-in it is; it decides on the keys that follow")

    def options(self, group: str) -> Options:
        """Return the remaining keys as the `Options` of the plug-in's class.

        Raises
        ------
        ConfigurationError
            The kind is unknown or not installed.
        pydantic.ValidationError
            A key is unknown to it or has a wrong value.
        """
        options: type[Options] = registry.load(group, self.kind).Options
        return options.model_validate(self.model_extra or {})
