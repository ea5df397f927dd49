"""InfluxDB line protocol to samples."""

from archiver.sources.line_protocol.compiled import warm_up
from archiver.sources.line_protocol.decoder import PRECISIONS, Decoded, Decoder, Refusal, decode

__all__ = ["PRECISIONS", "Decoded", "Decoder", "Refusal", "decode", "warm_up"]
