"""Which samples are worth keeping: pure kernels over columns.

Importing this loads no numba; a large batch does, where it is installed.
"""

from archiver.smoothing.late import judge_late
from archiver.smoothing.rules import RULES
from archiver.smoothing.smoother import Smoothed, Smoother

__all__ = ["RULES", "Smoothed", "Smoother", "judge_late"]
