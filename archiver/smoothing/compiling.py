"""Runs a kernel compiled where numba is installed and it pays, as it is everywhere else: with identical results."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

LARGE = 4096
"""Samples from which loading numba and the compiled kernel pays; once loaded it takes smaller batches as well."""

Kernel = Callable[..., None]
Columns = tuple[Any, ...]
_loaded: dict[Kernel, Kernel] = {}


def run(kernel: Kernel, inputs: Sequence[Columns], outputs: Sequence[Columns], fate: Any) -> None:
    """Run a kernel over columns.

    Parameters
    ----------
    kernel : callable
        A function of `archiver.smoothing.kernels`.
    inputs : sequence of named tuples of numpy arrays and scalars
        What the kernel reads: rows first.
    outputs : sequence of named tuples of numpy arrays
        What it changes.
    fate : ndarray of uint8
    """
    compiled = _loaded.get(kernel)
    if compiled is None and len(inputs[0][0]) >= LARGE and numba_installed():
        compiled = _loaded.setdefault(kernel, compile_kernel(kernel))
    if compiled is not None:
        compiled(*inputs, *outputs, fate)
        return
    # lists and plain numbers: several times faster than numpy scalars, and a float that overflows is just infinite
    lists = [_with(columns, [column.tolist() for column in columns]) for columns in (*inputs, *outputs)]
    fates = fate.tolist()
    kernel(*lists, fates)
    fate[:] = fates
    for columns, changed in zip(outputs, lists[len(inputs) :], strict=True):
        for column, values in zip(columns, changed, strict=True):
            column[:] = np.array(values, column.dtype)


@cache
def numba_installed() -> bool:
    """Return whether numba can be imported; it is not imported."""
    return importlib.util.find_spec("numba") is not None


def compile_kernel(kernel: Kernel) -> Kernel:
    """Return a kernel compiled to run without the interpreter's lock, from the cache on disk when it is there."""
    from numba import njit

    try:
        compiled: Kernel = njit(nogil=True, cache=True)(kernel)
    except RuntimeError:  # no folder that can be written: compile in every process
        compiled = njit(nogil=True)(kernel)
    return compiled


def _with(columns: Columns, values: list[Any]) -> Any:
    return type(columns)(*values)
