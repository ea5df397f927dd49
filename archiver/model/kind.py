"""The kinds of value a sample may hold, and the Arrow column of each."""

from __future__ import annotations

from enum import IntEnum

import pyarrow as pa

from archiver.model.errors import InvalidInputError, PermanentError


class Kind(IntEnum):
    """What a sample's value is. The code is stored; it never changes its meaning.

    ``NONE`` is "bad, no value": the sample says that there is nothing, which is not NaN.
    ``ENUM`` is the number of a state; the names are in the element's state set.
    """

    NONE = 0
    FLOAT = 1
    INT = 2
    UINT = 3
    BOOL = 4
    TEXT = 5
    BINARY = 6
    ENUM = 7
    FLOATS = 11
    INTS = 12
    UINTS = 13
    BOOLS = 14
    TEXTS = 15
    BINARIES = 16
    ENUMS = 17

    @property
    def column(self) -> str:
        """Name of the Arrow column that holds values of this kind."""
        return self.name.lower()

    @property
    def is_list(self) -> bool:
        """Whether a value is an array of the scalar kind."""
        return self > 10

    @property
    def item(self) -> Kind:
        """The scalar kind: of the items for an array, the kind itself otherwise."""
        return Kind(self - 10) if self.is_list else self

    @property
    def arrow_type(self) -> pa.DataType:
        """Arrow type of the column."""
        return pa.list_(_SCALARS[self.item]) if self.is_list else _SCALARS[self]


_SCALARS = {
    Kind.FLOAT: pa.float64(),
    Kind.INT: pa.int64(),
    Kind.UINT: pa.uint64(),
    Kind.BOOL: pa.bool_(),
    Kind.TEXT: pa.utf8(),
    Kind.BINARY: pa.binary(),
    Kind.ENUM: pa.int32(),
}
VALUE_KINDS = tuple(kind for kind in Kind if kind is not Kind.NONE)


def kind_of(type_: pa.DataType) -> Kind:
    """Return the kind whose column can hold an Arrow type without loss.

    Raises
    ------
    InvalidInputError
        No kind holds this type.

    Examples
    --------
    >>> kind_of(pa.int16()).name
    'INT'
    """
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        item = kind_of(type_.value_type)
        if item is Kind.NONE or item.is_list:
            raise InvalidInputError(
                f"values of Arrow type {type_} cannot be archived: give arrays a kind and one dimension"
            )
        return Kind(item + 10)
    tests = (
        (pa.types.is_floating, Kind.FLOAT),
        (pa.types.is_signed_integer, Kind.INT),
        (pa.types.is_unsigned_integer, Kind.UINT),
        (pa.types.is_boolean, Kind.BOOL),
        (lambda t: pa.types.is_string(t) or pa.types.is_large_string(t), Kind.TEXT),
        (lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t), Kind.BINARY),
        (pa.types.is_null, Kind.NONE),
    )
    for matches, kind in tests:
        if matches(type_):
            return kind
    raise InvalidInputError(
        f"values of Arrow type {type_} cannot be archived; cast them to a number, bool, text or binary"
    )


def check_text(kind: Kind, values: pa.Array) -> None:
    """Raise `PermanentError` when values of a kind of text are not UTF-8: a database would refuse them one by one."""
    if kind.item is Kind.TEXT:
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as exc:
            raise PermanentError(f"a text is not UTF-8 and cannot be stored: {exc}; send it as binary") from exc
