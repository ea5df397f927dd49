"""What the archive counts, as families of Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from archiver.bootstrap import Archive
from archiver.pipeline.lane import LaneStatus
from archiver.pipeline.ledger import Outcome, Total
from services.common.telemetry import Exposition


def expose(archive: Archive, totals: Sequence[Total], text: Exposition) -> None:
    """Add the archive's families; of samples, those of some totals of the ledger."""
    _samples(totals, text)
    _lanes({name: lane.status() for name, lane in list(archive.lanes.items())}, text)
    state = archive.journal.state()
    for name, what, value in (
        ("entries", "Entries in the journal.", state.entries),
        ("samples", "Samples in the journal.", state.rows),
        ("bytes", "Bytes in the journal.", state.bytes),
        ("last_offset", "Offset of the newest entry of the journal.", state.last),
    ):
        text.add(f"forebay_journal_{name}", "gauge", what, [({}, value)])


def _samples(totals: Sequence[Total], text: Exposition) -> None:
    values = [
        (
            {"lane": total.lane, "group": total.group, "outcome": total.outcome, "reason": total.reason},
            total.count,
        )
        for total in totals
        if total.outcome != Outcome.BUFFERED  # that is the lag, which falls again
    ]
    text.add("forebay_samples_total", "counter", "Samples by column of the ledger.", values)


def _lanes(statuses: dict[str, LaneStatus], text: Exposition) -> None:
    families = (
        ("lag_samples", "Samples that the backend lacks.", lambda s: s.lag_samples),
        (
            "oldest_unflushed_seconds",
            "Age of the oldest sample that the backend lacks.",
            lambda s: s.oldest_unflushed_s,
        ),
        ("retries", "Failed attempts since the last success.", lambda s: s.retries),
        ("up", "Whether the lane runs and its backend answers.", lambda s: int(s.state == "running")),
    )
    for name, what, value in families:
        values = [({"backend": backend}, value(status)) for backend, status in statuses.items()]
        text.add(f"forebay_lane_{name}", "gauge", what, values)
