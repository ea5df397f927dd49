"""A mistake in an expression, shown where it is."""

from __future__ import annotations

from archiver.model import InvalidInputError


class ExpressionError(InvalidInputError):
    """An expression cannot be understood; the message says what, shows where, and says what to write instead.

    Parameters
    ----------
    text : str
        The expression.
    reason : str
        What is wrong, and what to do, on one line.
    start, end : int
        The characters that it is about, half open, from 0.

    Examples
    --------
    >>> print(ExpressionError("inlett > 80", "there is no 'inlett'; did you mean 'inlet'?", 0, 6))
    line 1, column 1: there is no 'inlett'; did you mean 'inlet'?
      inlett > 80
      ^^^^^^
    """

    def __init__(self, text: str, reason: str, start: int, end: int) -> None:
        start = min(start, len(text))
        begin = text.rfind("\n", 0, start) + 1
        stop = text.find("\n", begin)
        line = text[begin : len(text) if stop < 0 else stop]
        self.text, self.reason, self.start, self.end = text, reason, start, end
        self.line, self.column = text.count("\n", 0, start) + 1, start - begin + 1
        shown, before = _window(line, start - begin)
        length = max(1, min(end - start, len(shown) - before))
        caret = " " * before + "^" * length
        super().__init__(f"line {self.line}, column {self.column}: {reason}\n  {shown}\n  {caret}")


def _window(line: str, place: int, width: int = 100) -> tuple[str, int]:
    """Return what of a long line is shown, tabs as blanks, and where the place is in there."""
    line = line.replace("\t", " ")
    if len(line) <= width:
        return line, place
    begin = max(0, min(place - width // 2, len(line) - width))
    lead, trail = "… " if begin else "", " …" if begin + width < len(line) else ""
    return lead + line[begin : begin + width] + trail, place - begin + len(lead)
