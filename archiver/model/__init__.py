"""The values everything else is made of: frozen, and importing the standard library, numpy and pyarrow only."""

from archiver.model.batch import SampleBatch, schema_of
from archiver.model.element import ElementVersion, Metadata
from archiver.model.errors import (
    BackpressureError,
    ConfigurationError,
    ForebayError,
    IncompleteError,
    InvalidInputError,
    LimitError,
    NotFoundError,
    PermanentError,
    QuotaError,
    StoppedError,
    TransientError,
    UnsupportedError,
)
from archiver.model.group import ArchiveGroup
from archiver.model.kind import Kind
from archiver.model.smoothing import Smoothing, SmoothingKind
from archiver.model.status import Status
from archiver.model.time import Interval, format_duration, format_time, parse_duration, parse_interval, parse_time

__all__ = [
    "ArchiveGroup",
    "BackpressureError",
    "ConfigurationError",
    "ElementVersion",
    "ForebayError",
    "IncompleteError",
    "Interval",
    "InvalidInputError",
    "Kind",
    "LimitError",
    "Metadata",
    "NotFoundError",
    "PermanentError",
    "QuotaError",
    "SampleBatch",
    "Smoothing",
    "SmoothingKind",
    "Status",
    "StoppedError",
    "TransientError",
    "UnsupportedError",
    "format_duration",
    "format_time",
    "parse_duration",
    "parse_interval",
    "parse_time",
    "schema_of",
]
