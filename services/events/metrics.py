"""What is counted of rules and alarms, as families of Prometheus."""

from __future__ import annotations

from services.common.telemetry import Exposition
from services.events.listing import counts_of
from services.events.service import EventService


def expose(service: EventService, text: Exposition) -> None:
    """Add the families of rules, events, alarms and notifications."""
    status = service.runner.status()
    text.add("forebay_rules", "gauge", "Rules in force.", [({}, status.rules)])
    text.add("forebay_rules_failed", "gauge", "Rules that were taken out as they failed.", [({}, len(status.failed))])
    text.add("forebay_rules_lag_samples", "gauge", "Samples that the rules have not seen.", [({}, status.lag)])
    skipped = [({"reason": "late"}, status.late), ({"reason": "repeated"}, status.repeated)]
    text.add("forebay_rules_skipped_samples", "gauge", "Samples that a rule left out, by now.", skipped)
    text.add("forebay_rules_gap_entries_total", "counter", "Journal entries that no rule saw.", [({}, status.gaps)])
    text.add("forebay_events_total", "counter", "Events that rules found, since the start.", [({}, status.events)])
    alarms = [({"state": state}, count) for state, count in counts_of(service.store.alarms()).items()]
    text.add("forebay_alarms", "gauge", "Alarms by state.", alarms)
    channels = service.notifications.status()
    waiting = [({"channel": channel.name}, channel.waiting) for channel in channels]
    text.add("forebay_notify_waiting", "gauge", "Notices that wait to be told.", waiting)
    failing = [({"channel": channel.name}, channel.failures) for channel in channels]
    text.add("forebay_notify_failures", "gauge", "Attempts that failed since the last that did not.", failing)
    failed = [({"channel": channel.name}, channel.failed) for channel in channels]
    text.add("forebay_notify_failed", "gauge", "Notices that could not be told, and are kept.", failed)
