"""Bodies of ``POST /v1/samples`` to columns: the good rows go through, each refused one is reported."""

from services.archive.decoding.body import FORMATS, decode
from services.archive.decoding.decoded import Decoded, Refusal

__all__ = ["FORMATS", "Decoded", "Refusal", "decode"]
