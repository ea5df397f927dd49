"""What the tables of the configuration are made of: a frozen base, and durations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from archiver.model import InvalidInputError, format_duration, parse_duration


class Table(BaseModel):
    """A table of the file: unknown keys are errors, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidInputError as exc:
            raise ValueError(str(exc)) from exc
    raise ValueError('has no unit: write a duration such as "10s" or "7d"')


def _some_time(value: int) -> int:
    if value == 0:
        raise ValueError('must be longer than nothing: write a duration such as "10s" or "7d"')
    return value


Duration = Annotated[
    int,
    BeforeValidator(_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    Field(json_schema_extra={"examples": ["10s", "1h30m", "5y"]}),
]
"""A duration in the file (``"10s"``), nanoseconds in the program."""

LongerDuration = Annotated[Duration, AfterValidator(_some_time)]
"""A duration of more than nothing."""


def lasting(default: str, description: str) -> Any:
    """Return a field that holds a duration, with a default as it is written in the file."""
    return Field(default, description=description)
