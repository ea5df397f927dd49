"""`python -m bench.peers [PEER...]`: the same data through this archive and its peers, one table.

A run of all peers on the whole data also goes to docs/reference/measurements.md.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys

from archiver.sources import line_protocol
from bench.peers.measure import Figures, measure
from bench.peers.port import Load, NotHereError, Peer
from bench.peers.table import conditions, keep, table

_ORDER = (
    "forebay_embedded",
    "forebay_served",
    "influxdb",
    "questdb",
    "postgresql",
    "duckdb_file",
    "chdb_session",
    "plain_parquet",
)
ELEMENTS, SAMPLES = 1000, 10_000


def main() -> int:
    """Measure, print, and keep what is complete."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("peers", nargs="*", help=f"of {', '.join(_ORDER)}; all when left out")
    parser.add_argument("--elements", type=int, default=ELEMENTS)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of each element; at least 3600 fill an hour")
    arguments = parser.parse_args()
    unknown = set(arguments.peers) - set(_ORDER)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server is stopped and every folder removed
    line_protocol.warm_up(wait=True)  # compiled once per installation, as the other programs are
    load = Load.of(arguments.elements, arguments.samples)
    figures: list[Figures] = []
    absent: list[tuple[str, str]] = []
    for module in arguments.peers or _ORDER:
        try:
            for peer in _peers(module):
                print(f"{peer.name} ...", file=sys.stderr, flush=True)
                try:
                    figures.append(measure(peer, load))
                    print(table(figures[-1:], ()).splitlines()[-1], file=sys.stderr, flush=True)
                except RuntimeError as exc:
                    absent.append((peer.name, f"failed: {exc}"))
        except NotHereError as exc:
            absent.append((module, f"not here: {exc}"))
    text = f"{conditions(arguments.elements, arguments.samples)}\n\n{table(figures, absent)}"
    print(text)
    if not arguments.peers and (arguments.elements, arguments.samples) == (ELEMENTS, SAMPLES):
        keep(text)
    return 0


def _peers(module: str) -> tuple[Peer, ...]:
    peers: tuple[Peer, ...] = importlib.import_module(f"bench.peers.{module}").PEERS
    return peers


if __name__ == "__main__":
    sys.exit(main())
