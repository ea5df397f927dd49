"""Which decoder reads which media type."""

from __future__ import annotations

from collections.abc import Callable

from services.archive.decoding.arrow import decode_arrow
from services.archive.decoding.decoded import Decoded
from services.archive.decoding.json import decode_json, decode_ndjson
from services.common.errors import UnsupportedMediaError

JSON = "application/json"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
FORMATS: dict[str, Callable[[bytes], Decoded]] = {
    JSON: decode_json,
    NDJSON: decode_ndjson,
    "application/ndjson": decode_ndjson,
    "application/jsonl": decode_ndjson,
    ARROW: decode_arrow,
}
"""Decoder by media type."""


def decode(body: bytes, media_type: str) -> Decoded:
    """Return the samples and refused rows of a body; JSON when the client names no media type.

    Raises
    ------
    UnsupportedMediaError
    InvalidInputError
        The body as a whole cannot be read.
    """
    decoder = FORMATS.get(media_type or JSON)
    if decoder is None:
        raise UnsupportedMediaError(
            f"Content-Type: {media_type}: not read here; send {JSON}, {NDJSON} or {ARROW}, "
            "and line protocol to /api/v2/write"
        )
    return decoder(body)
