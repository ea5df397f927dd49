"""Where a bench module says what it measures.

::

    @bench("ingest")
    def end_to_end() -> Iterator[Row]:
        yield Row("journal + Parquet, one process", ours=..., baseline_name="raw pyarrow", baseline=...,
                  unit="samples/s", goal=0.5, higher_is_better=True)

A module in this folder is found by being there; a subfolder is a program of its own (`python -m bench.peers`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import bench as package

Bench = Callable[[], Iterable["Row"]]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured piece of work, beside what it is measured against in the same run.

    Parameters
    ----------
    work : str
        What was done, to what.
    ours, baseline : float
        Both in `unit`; medians of several rounds.
    baseline_name : str
        What did the same work, or the part of it that cannot be avoided.
    unit : str
        Of both, such as ``samples/s`` or ``ms``.
    goal : float or None
        Of the ratio ours / baseline; None where none is set.
    higher_is_better : bool
        Whether the goal is the least ratio (a rate) or the largest (a time, a size).
    """

    work: str
    ours: float
    baseline_name: str
    baseline: float
    unit: str
    goal: float | None = None
    higher_is_better: bool = True

    @property
    def ratio(self) -> float:
        """Ours over the baseline's."""
        return self.ours / self.baseline

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.higher_is_better else self.ratio <= self.goal


_benches: dict[str, Bench] = {}


def bench(name: str) -> Callable[[Bench], Bench]:
    """Register a function that yields rows, under a name to choose it by."""

    def register(function: Bench) -> Bench:
        if name in _benches:
            raise ValueError(f"two benches are called {name!r}: rename one")
        _benches[name] = function
        return function

    return register


def benches() -> dict[str, Bench]:
    """Return all benches of the modules in this folder by name, in the order of module and definition."""
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg):
        if not module.startswith("__"):
            importlib.import_module(f"bench.{module}")
    return dict(_benches)
