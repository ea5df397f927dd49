"""What this archive calls itself to clients of the appliance."""

from __future__ import annotations

from importlib.metadata import version

IDENTITY = "forebay"
"""Name of the only appliance of the cluster."""

VERSION = f"Archiver Appliance Version forebay-{version('forebay')}"
"""Version, in the words that clients look for."""
