"""Samples passed on to whoever is connected, over TCP and ZeroMQ: all newest values at first, then what changes."""

from archiver.backends.stream.backend import StreamBackend
from archiver.backends.stream.options import StreamOptions

__all__ = ["StreamBackend", "StreamOptions"]
