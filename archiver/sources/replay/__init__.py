"""Recorded data back into the archive: CSV and Parquet files with a mapping of columns to elements."""

from archiver.sources.replay.options import ReplayOptions
from archiver.sources.replay.replay import Chunk, Refusal, Replay
from archiver.sources.replay.samples import long_table
from archiver.sources.replay.source import ReplaySource

__all__ = ["Chunk", "Refusal", "Replay", "ReplayOptions", "ReplaySource", "long_table"]
