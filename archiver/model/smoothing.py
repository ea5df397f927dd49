"""Which samples of a group are worth keeping: the rule, as a value. The kernels are in `archiver.smoothing`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from archiver.model.errors import ConfigurationError

ALL_BITS = 2**64 - 1


class SmoothingKind(StrEnum):
    """Smoothing as WinCC OA's NextGen archiver names it, and the swinging door.

    AND and OR join the conditions under which a sample is *discarded*, so `TIME_AND_VALUE` discards what is
    both too soon and too close, and stores what is late *or* far.
    """

    NONE = "none"
    OLD_NEW = "old_new"
    VALUE = "value"
    VALUE_RELATIVE = "value_relative"
    TIME = "time"
    TIME_AND_VALUE = "time_and_value"
    TIME_OR_VALUE = "time_or_value"
    TIME_AND_VALUE_RELATIVE = "time_and_value_relative"
    TIME_OR_VALUE_RELATIVE = "time_or_value_relative"
    OLD_NEW_AND_TIME = "old_new_and_time"
    OLD_NEW_OR_TIME = "old_new_or_time"
    SWINGING_DOOR = "swinging_door"

    @property
    def uses_time(self) -> bool:
        """Whether `min_interval_ns` takes part."""
        return "time" in self.value

    @property
    def uses_tolerance(self) -> bool:
        """Whether `tolerance` takes part."""
        return "value" in self.value or self is SmoothingKind.SWINGING_DOOR


@dataclass(frozen=True, slots=True)
class Smoothing:
    """A rule that decides which samples are stored.

    Parameters
    ----------
    kind : SmoothingKind
    tolerance : float
        Largest change that is discarded: in the element's unit, or in percent of the last archived value for
        the relative kinds. For the swinging door the largest error of the line between stored samples.
    min_interval_ns : int
        Shortest time between two stored samples, for the kinds with time.
    heartbeat_ns : int
        Longest silence: a sample that comes this long after the last archived one is stored. 0 is never.
    status_mask : int
        A change of any of these status bits against the last archived sample is always stored.

    Raises
    ------
    ConfigurationError
        A parameter that the kind needs is missing or negative.
    """

    kind: SmoothingKind = SmoothingKind.NONE
    tolerance: float = 0.0
    min_interval_ns: int = 0
    heartbeat_ns: int = 0
    status_mask: int = ALL_BITS

    def __post_init__(self) -> None:
        problems = []
        if not self.tolerance >= 0:
            problems.append(f"tolerance = {self.tolerance}: must be zero or more")
        if self.min_interval_ns < 0 or self.heartbeat_ns < 0:
            problems.append("min_interval and heartbeat must be zero or more")
        if self.kind.uses_tolerance and not self.tolerance:
            problems.append(f"tolerance: {self.kind} needs one, in the element's unit (percent for relative kinds)")
        if self.kind.uses_time and not self.min_interval_ns:
            problems.append(f"min_interval: {self.kind} needs one, such as 10s")
        if problems:
            raise ConfigurationError(problems)
