"""What the catalogue knows of an element, as the appliance names it."""

from __future__ import annotations

from collections.abc import Mapping

from archiver.model import Kind, Metadata

_LIMITS = {
    "LOPR": "display_low",
    "HOPR": "display_high",
    "LOLO": "alarm_low",
    "LOW": "warning_low",
    "HIGH": "warning_high",
    "HIHI": "alarm_high",
}
_TYPES = {
    Kind.NONE: "DBR_SCALAR_DOUBLE",
    Kind.FLOAT: "DBR_SCALAR_DOUBLE",
    Kind.INT: "DBR_SCALAR_INT",
    Kind.UINT: "DBR_SCALAR_INT",
    Kind.BOOL: "DBR_SCALAR_ENUM",
    Kind.TEXT: "DBR_SCALAR_STRING",
    Kind.BINARY: "DBR_WAVEFORM_BYTE",
    Kind.ENUM: "DBR_SCALAR_ENUM",
    Kind.FLOATS: "DBR_WAVEFORM_DOUBLE",
    Kind.INTS: "DBR_WAVEFORM_INT",
    Kind.UINTS: "DBR_WAVEFORM_INT",
    Kind.BOOLS: "DBR_WAVEFORM_ENUM",
    Kind.TEXTS: "DBR_WAVEFORM_STRING",
    Kind.BINARIES: "DBR_WAVEFORM_STRING",
    Kind.ENUMS: "DBR_WAVEFORM_ENUM",
}
_BOOLEAN = {0: "false", 1: "true"}


def meta_of(metadata: Metadata, *, latest: bool) -> dict[str, str]:
    """Return what goes with the samples of a PV: units and precision, and with `latest` limits and names of states."""
    known = {"EGU": metadata.unit}
    if metadata.precision is not None:
        known["PREC"] = str(float(metadata.precision)) if latest else str(metadata.precision)
    if latest:
        known |= {name: str(float(value)) for name, value in limits_of(metadata).items()}
        known |= {f"ENUM_{number}": name for number, name in states_of(metadata).items()}
    return {name: text for name, text in known.items() if text}


def limits_of(metadata: Metadata) -> dict[str, float]:
    """Return the limits that are known."""
    return {name: value for name, field in _LIMITS.items() if (value := getattr(metadata, field)) is not None}


def states_of(metadata: Metadata) -> Mapping[int, str]:
    """Return the names of the states of an enumeration; of a boolean those that it has by nature."""
    return metadata.states or (_BOOLEAN if metadata.kind.item is Kind.BOOL else {})


def type_of(kind: Kind) -> str:
    """Return the appliance's name of the type of values of a kind.

    Examples
    --------
    >>> type_of(Kind.FLOATS)
    'DBR_WAVEFORM_DOUBLE'
    """
    return _TYPES[kind]
