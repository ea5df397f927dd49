"""The configuration: one TOML file, environment and flags over it, checked as a whole.

`load` gives `Settings`; every problem is reported at once, each with the key, the value and what to write instead.
"""

from archiver.config.loading import LAST_RUN_FILE, load, locate, parse
from archiver.config.notifying import MatchSettings, NotifySettings, QuietHours
from archiver.config.schema import json_schema
from archiver.config.security import OidcSettings, SecuritySettings, TlsSettings, is_loopback
from archiver.config.settings import (
    BackendSettings,
    Duration,
    GroupSettings,
    IntakeSettings,
    JournalSettings,
    LaneSettings,
    LineProtocolRule,
    LogSettings,
    PluginSettings,
    QuerySettings,
    ServerSettings,
    Settings,
    SmoothingSettings,
    SourceSettings,
    TraceSettings,
)

__all__ = [
    "LAST_RUN_FILE",
    "BackendSettings",
    "Duration",
    "GroupSettings",
    "IntakeSettings",
    "JournalSettings",
    "LaneSettings",
    "LineProtocolRule",
    "LogSettings",
    "MatchSettings",
    "NotifySettings",
    "OidcSettings",
    "PluginSettings",
    "QuerySettings",
    "QuietHours",
    "SecuritySettings",
    "ServerSettings",
    "Settings",
    "SmoothingSettings",
    "SourceSettings",
    "TlsSettings",
    "TraceSettings",
    "is_loopback",
    "json_schema",
    "load",
    "locate",
    "parse",
]
