"""What clients write as the name of a PV: an element, perhaps an operator around it, in several spellings."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import ElementVersion, NotFoundError
from services.appliance.operators import Operator, operator_of
from services.common.security import View

_CALL = re.compile(r"([A-Za-z][^()]*)\((.*)\)", re.DOTALL)
_PROTOCOLS = ("ca://", "pva://")
_VALUE = ".VAL"


@dataclass(frozen=True)
class Wanted:
    """A PV as it was asked for.

    Parameters
    ----------
    name : str
        As the answer calls it: what was asked for without operator, protocol and ``.VAL``.
    element : ElementVersion
    operator : Operator, optional
    """

    name: str
    element: ElementVersion
    operator: Operator | None = None


def wanted(view: View, text: str, operator: str = "", template: str = "") -> Wanted:
    """Return what a name asks for.

    Parameters
    ----------
    text : str
        ``NAME``, ``mean_60(NAME)`` or ``mean(NAME, 60)``, where the name may begin with ``ca://`` or ``pva://`` and
        end with ``.VAL``. An operator that there isn't is left out.
    operator : str
        As the parameter ``pp`` says.
    template : str
        An element that stands for one that is not there any more.

    Raises
    ------
    NotFoundError
        There is no such element, and no template.
    """
    found = find(view, text)
    if found is not None:
        return Wanted(plain(text), found, operator_of(operator))
    call = _CALL.fullmatch(text.strip())
    if call is None:
        return _retired(view, text, operator_of(operator), template)
    function, inside = call.groups()
    found = find(view, inside)
    if found is not None:
        return Wanted(plain(inside), found, operator_of(function))
    name, *more = (part.strip() for part in inside.split(","))
    chosen = operator_of(function, tuple(more))
    found = find(view, name)
    return _retired(view, name, chosen, template) if found is None else Wanted(plain(name), found, chosen)


def find(view: View, text: str) -> ElementVersion | None:
    """Return the element that a name stands for as it is, or without protocol and ``.VAL``; None when there is none."""
    for name in dict.fromkeys((text, plain(text))):
        try:
            return view.element(name)
        except NotFoundError:
            continue
    return None


def plain(text: str) -> str:
    """Return a name without protocol and ``.VAL``.

    Examples
    --------
    >>> plain("pva://T1.VAL")
    'T1'
    """
    name = text.strip()
    for protocol in _PROTOCOLS:
        name = name.removeprefix(protocol)
    return name.removesuffix(_VALUE)


def matching(view: View, *, glob: str | None = None, regex: str | None = None) -> list[str]:
    """Return the names of the elements that match as a whole, sorted; all without a pattern, none when it is wrong.

    Parameters
    ----------
    glob : str, optional
        With ``*`` and ``?``; several may be joined by commas. Counts before the regular expression.
    regex : str, optional
    """
    names = view.listing().names
    if glob is not None:
        pattern = "|".join(_glob(part) for part in glob.split(","))
    elif regex is not None:
        pattern = regex
    else:
        return _texts(names)
    try:  # by RE2, whose time does not explode whatever the pattern is
        pc.match_substring_regex(pa.array([""]), pattern)  # on its own it must be one: "a)|(b" is none
        return _texts(names.filter(pc.match_substring_regex(names, rf"(?s)\A(?:{pattern})\z")))
    except pa.ArrowInvalid:
        return []


def _texts(names: pa.Array) -> list[str]:
    texts: list[str] = names.to_pylist()
    return texts


def _glob(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


def _retired(view: View, text: str, operator: Operator | None, template: str) -> Wanted:
    other = find(view, template) if template else None
    if other is None:
        return Wanted(plain(text), view.element(plain(text)), operator)
    gone = ElementVersion(other.element_id, plain(text), other.valid_from, other.metadata)
    return Wanted(plain(text), gone, operator)
