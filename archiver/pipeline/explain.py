"""Why is this sample missing? What the archive knows of an element in an interval, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from archiver.model import ForebayError, Interval, SampleBatch, format_time
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.lane import Lane
from archiver.pipeline.ledger import HELD, Ledger, Outcome
from archiver.pipeline.processing import runs_of
from archiver.pipeline.renames import RenamedReader
from archiver.pipeline.routing import Router
from archiver.ports import Journal


@dataclass(frozen=True, slots=True)
class Finding:
    """Samples that ended in one column: in which lane and group, why, how many, and the span of their source times.

    The span is that of the ledger's row, which may reach beyond the interval that was asked for.
    """

    lane: str
    group: str
    outcome: str
    reason: str
    count: int
    first: int
    last: int


@dataclass(frozen=True)
class Explanation:
    """The answer: sentences to read, and what they rest on.

    Parameters
    ----------
    archived : mapping of backend to int
        Samples in the interval that a query of that backend gives now; -1 when it cannot be asked.
    """

    element: str
    interval: Interval
    sentences: tuple[str, ...]
    findings: tuple[Finding, ...]
    archived: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, times as ISO-8601."""
        return {
            "element": self.element,
            "start": format_time(self.interval.start),
            "end": format_time(self.interval.end),
            "sentences": list(self.sentences),
            "archived": self.archived,
            "findings": [
                {
                    "lane": f.lane,
                    "group": f.group,
                    "outcome": f.outcome,
                    "reason": f.reason,
                    "count": f.count,
                    "first": format_time(f.first),
                    "last": format_time(f.last),
                }
                for f in self.findings
            ],
        }


def explain(
    names: Sequence[str],
    interval: Interval,
    *,
    catalog: Catalog,
    router: Router,
    ledger: Ledger,
    dead_letters: DeadLetters,
    lanes: Sequence[Lane],
    readers: Mapping[str, RenamedReader],
    journal: Journal,
) -> Explanation:
    """Return what became of the samples of an element in an interval.

    The ledger says what was done; the backends and the journal's tail say what is there.

    Parameters
    ----------
    names : sequence of str
        Every name the element has or had, the present one first (`Catalog.names`).
    readers : mapping of backend to RenamedReader
        They know the element by its present name.
    """
    element = names[0]
    findings = _findings(names, interval, ledger) + _buffered(names, interval, lanes, journal)
    archived = {name: _count(element, interval, reader) for name, reader in readers.items()}
    sentences = [_known(element, catalog), *_belongs(element, router)]
    for name, count in archived.items():
        what = "cannot be asked now" if count < 0 else f"holds {count} samples of it in this interval"
        sentences.append(f"Backend {name} {what}.")
    sentences += [_sentence(finding) for finding in _summary(findings)]
    for letter in dead_letters.holding(names, interval):
        if times := _times(dead_letters.samples(letter.id), names, interval):
            sentences.append(f"Dead letter {letter.id} of {letter.lane} holds {len(times)} of them: {letter.reason}.")
    if not findings:
        sentences.append("Nothing of it was received with a source time in this interval.")
    return Explanation(element, interval, tuple(sentences), tuple(findings), archived)


def _findings(names: Sequence[str], interval: Interval, ledger: Ledger) -> list[Finding]:
    rows = [row for name in names for row in ledger.accounts(name, interval).to_pylist()]
    return [
        Finding(r["lane"], r["group"], r["outcome"], r["reason"], r["count"], r["first"], r["last"])
        for r in sorted(rows, key=lambda r: (r["lane"], r["group"], r["first"]))
    ]


def _buffered(names: Sequence[str], interval: Interval, lanes: Sequence[Lane], journal: Journal) -> list[Finding]:
    """Return what waits in the journal, and what a smoothing holds until it knows whether to store it."""
    found = []
    for lane in lanes:
        groups = [group for name in names for group in lane.router.groups_of(name)]
        entries = chain.from_iterable(runs_of(journal, lane.position or 0)) if groups else ()
        waiting = [time for entry in entries for time in _times(entry.batch, names, interval)]
        found += _finding(lane.backend.name, groups[0] if groups else "", "", waiting)
        held = {} if lane.committed is None else lane.committed[1].held(names)
        for group, batch in held.items():
            found += _finding(lane.backend.name, group, HELD, _times(batch, names, interval))
    return found


def _times(batch: SampleBatch, names: Sequence[str], interval: Interval) -> list[int]:
    times: list[int] = batch.source_time[batch.mask_elements(names) & batch.mask_interval(interval)].tolist()
    return times


def _finding(lane: str, group: str, reason: str, times: Sequence[int]) -> list[Finding]:
    """Return the finding that some samples are buffered, none when there are none."""
    outcome = str(Outcome.BUFFERED)
    return [Finding(lane, group, outcome, reason, len(times), min(times), max(times))] if times else []


def _count(element: str, interval: Interval, reader: RenamedReader) -> int:
    try:
        return sum(batch.num_rows for batch in reader.read([element], interval))
    except ForebayError:
        return -1


def _known(element: str, catalog: Catalog) -> str:
    version = catalog.find(element)
    if version is None:
        return f"{element} is unknown: no sample of it was ever accepted{catalog.hint(element) or '.'}"
    return f"{element} is known, of type {version.metadata.kind.name.lower()}."


def _belongs(element: str, router: Router) -> list[str]:
    groups = [router.groups[name] for name in router.groups_of(element)]
    if not groups:
        return ["It belongs to no archive group: its samples are rejected. Add it to one in the configuration."]
    return [
        f"It belongs to the archive group {group.name}, with smoothing {group.smoothing.kind}"
        f"{f' (tolerance {group.smoothing.tolerance:g})' if group.smoothing.kind.uses_tolerance else ''}, "
        f"stored in {', '.join(group.backends)}."
        for group in groups
    ]


def _summary(findings: Sequence[Finding]) -> list[Finding]:
    """Join the findings that differ in nothing but their span."""
    joined: dict[tuple[str, str, str, str], Finding] = {}
    for f in findings:
        key = (f.lane, f.group, f.outcome, f.reason)
        old = joined.get(key, replace(f, count=0))
        joined[key] = replace(f, count=old.count + f.count, first=min(old.first, f.first), last=max(old.last, f.last))
    return list(joined.values())


def _sentence(finding: Finding) -> str:
    where = f" by {finding.lane}" if finding.lane != "intake" else " at the intake"
    group = f" (group {finding.group})" if finding.group else ""
    why = f": {finding.reason}" if finding.reason else ""
    first, last = format_time(finding.first), format_time(finding.last)
    span = f"at {first}" if first == last else f"between {first} and {last}"
    what, be = ("1 sample", "was") if finding.count == 1 else (f"{finding.count} samples", "were")
    verb = f"{be} {finding.outcome}"
    if finding.outcome == Outcome.BUFFERED:
        verb, where = "waiting for", f" {finding.lane}"
    return f"{what} {span} {verb}{where}{group}{why}."
