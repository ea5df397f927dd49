"""Operators by the name under which clients ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from archiver.model import LimitError, NotFoundError
from services.appliance.events import Events
from services.appliance.operators import choosing, plotting
from services.appliance.operators.bins import MOST_BINS, Bins
from services.appliance.operators.figures import FIGURES, WHOLE, figures

_INTERVAL_S = 900
_POINTS = 1000
_DEVIATIONS = 3.0
_BAND = 1.0
Number = TypeVar("Number", int, float)
Stream = Iterator[Events]


@dataclass(frozen=True)
class Request:
    """What an operator works on: the events, the interval (ns, both ends belong to it), and whether to fill."""

    stream: Stream
    start: int
    end: int
    fill: bool
    arguments: tuple[str, ...]

    def bins(self) -> Bins:
        """Return the bins that the first argument asks for."""
        return Bins(self.start, self.end, self.number(0, _INTERVAL_S))

    def number(self, place: int, default: Number) -> Number:
        """Return an argument as a number of the default's type.

        Raises
        ------
        NotFoundError
            It is none, or none above 0: the appliance answers 404.
        """
        if place >= len(self.arguments):
            return default
        text = self.arguments[place]
        try:
            number = type(default)(text)
        except ValueError as exc:
            raise NotFoundError(f"{text!r} is no argument of an operator: write a number, as in mean_60") from exc
        if not 0 < number < 2**31:
            raise NotFoundError(f"{text!r} is no argument of an operator: write a number above 0, as in mean_60")
        return number


def _held(choice: Callable[[Stream, Bins], Stream]) -> Callable[[Request], Stream]:
    def run(request: Request) -> Stream:
        bins = request.bins()
        chosen = choice(request.stream, bins)
        return choosing.held_on(chosen, bins)

    return run


def _figures(name: str) -> Callable[[Request], Stream]:
    return lambda request: figures(name, request.stream, request.bins(), fill=request.fill)


def _flyers(ignored: bool) -> Callable[[Request], Stream]:
    def run(request: Request) -> Stream:
        deviations = request.number(1, _DEVIATIONS)
        return choosing.flyers(request.stream, request.bins(), deviations, ignored=ignored)

    return run


def _optimized(last: bool) -> Callable[[Request], Stream]:
    def run(request: Request) -> Stream:
        points, empty = request.number(0, _POINTS), plotting.held_value if request.fill else None
        if points > MOST_BINS:
            raise LimitError(
                f"{points} points are asked for, and an answer has at most {MOST_BINS} bins: ask for fewer"
            )
        return plotting.optimized(request.stream, request.start, request.end, points, last=last, empty=empty)

    return run


_OPERATORS: Mapping[str, Callable[[Request], Stream]] = {
    **{name: _figures(name) for name in (*FIGURES, *WHOLE)},
    "firstSample": lambda request: choosing.first_of_bins(request.stream, request.bins()),
    "lastSample": lambda request: choosing.last_of_bins(request.stream, request.bins()),
    "firstFill": _held(choosing.first_of_bins),
    "lastFill": _held(choosing.last_of_bins),
    "nth": lambda request: choosing.nth(request.stream, request.start, request.number(0, _INTERVAL_S)),
    "ncount": lambda request: choosing.count(request.stream, request.start),
    "deadBand": lambda request: choosing.dead_band(request.stream, request.number(0, _BAND)),
    "flyers": _flyers(ignored=False),
    "ignoreflyers": _flyers(ignored=True),
    "optimized": _optimized(last=False),
    "optimLastSample": _optimized(last=True),
    "caplotbinning": lambda request: plotting.caplotbinning(request.stream, request.bins()),
}
_UNFILLED = "Sample"


@dataclass(frozen=True)
class Operator:
    """An operator with its arguments.

    Parameters
    ----------
    name : str
        One of those that there are.
    arguments : tuple of str
    fill : bool
        Whether empty bins are given.
    """

    name: str
    arguments: tuple[str, ...] = ()
    fill: bool = True

    def run(self, stream: Stream, start: int, end: int) -> Stream:
        """Return what the operator makes of events in an interval (ns, both ends belong to it).

        Raises
        ------
        NotFoundError
            An argument is none.
        LimitError
            It asks for too many bins.
        """
        return _OPERATORS[self.name](Request(stream, start, end, self.fill, self.arguments))


def operator_of(text: str, more: tuple[str, ...] = ()) -> Operator | None:
    """Return the operator that a name with arguments stands for, None when there is no such operator.

    Parameters
    ----------
    text : str
        ``mean_60``; ``meanSample_60`` leaves empty bins out.
    more : tuple of str
        Further arguments.

    Examples
    --------
    >>> operator_of("meanSample_60")
    Operator(name='mean', arguments=('60',), fill=False)
    """
    name, *arguments = text.split("_")
    given = tuple(argument for argument in (*arguments, *more) if argument)
    if name in _OPERATORS:
        return Operator(name, given)
    plain = name.removesuffix(_UNFILLED)
    if plain != name and plain in _OPERATORS:
        return Operator(plain, given, fill=False)
    return None
