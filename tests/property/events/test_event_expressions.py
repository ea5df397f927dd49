"""Expressions over columns, against one row after the other: a model of three-valued CEL, and CEL that is not ours."""

import math
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.events.expressions import Columns, Expression, Held, Input, Shape, expression

cel = pytest.importorskip("cel", reason="common-expression-language is not installed")

NUMBERS, TEXTS, BOOL, ANY = ("a", "b"), ("t", "u"), "p", "x"
SHAPES = {
    **dict.fromkeys(NUMBERS, Shape.NUMBER),
    **dict.fromkeys(TEXTS, Shape.TEXT),
    BOOL: Shape.BOOL,
    ANY: Shape.ANY,
}
SIGNS = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
LEAST, MOST = -(2**63), 2**63 - 1

floats = st.sampled_from([0.0, -0.0, 0.1, 1.0, -1.0, 2.5, 80.0, 1e300, -1e300, math.inf, -math.inf, 2.0**53, 2.0**63])
integers = st.sampled_from([0, 1, -1, 2, 80, 2**53 + 1, 2**53 + 2, MOST, LEAST, LEAST + 1])
texts = st.sampled_from(["", "OPEN", "SHUT", "OP", "it's", "N", 'say "x"', "back\\slash", "a\nb"])
UNKNOWN = st.none()


@dataclass(frozen=True)
class Sample:
    """What a name holds in one row; None where nothing is known."""

    value: object
    previous: object
    status: int
    seen: bool


def samples(values):
    held = st.one_of(values, values, values, UNKNOWN)
    status = st.sampled_from([0, 1, 1 << 3, 1 << 63, 2**64 - 1])
    made = st.builds(Sample, held, held, status, st.just(True))
    return st.one_of(made, made, made, st.just(Sample(None, None, 0, False)))


def rows_of(numbers, any_value):
    kinds = {
        **dict.fromkeys(NUMBERS, numbers),
        **dict.fromkeys(TEXTS, texts),
        BOOL: st.booleans(),
        ANY: any_value,
    }
    return st.lists(st.fixed_dictionaries({name: samples(values) for name, values in kinds.items()}), max_size=8)


# -- expressions, as trees --------------------------------------------------------------------------------


def trees(fields, is_strict):
    """Trees of a type each; `is_strict` for those that CEL takes as they are, without our additions."""
    number = st.one_of(
        floats.filter(math.isfinite).map(lambda v: ("float", v)),
        st.tuples(st.just("field"), st.sampled_from(NUMBERS), fields),
    )
    whole = st.one_of(integers.filter(lambda v: not is_strict or abs(v) < 2**53).map(lambda v: ("int", v)))
    text = st.one_of(texts.map(lambda v: ("text", v)), st.tuples(st.just("field"), st.sampled_from(TEXTS), fields))
    anything = st.tuples(st.just("field"), st.just(ANY), fields)
    truth = st.one_of(
        st.booleans().map(lambda v: ("bool", v)),
        st.tuples(st.just("field"), st.just(BOOL), fields),
        st.tuples(st.just("good"), st.sampled_from(list(SHAPES))),
    )
    if not is_strict:
        bits = st.tuples(st.just("bit"), st.sampled_from(NUMBERS), st.sampled_from([0, 3, 63]))
        has = st.tuples(st.just("has"), st.sampled_from(list(SHAPES)), st.sampled_from(["value", "previous", "status"]))
        truth = st.one_of(truth, bits, has, st.just(("field", ANY, "value")))

    def deeper(parts):
        number, whole, truth = parts
        operand = number if is_strict else st.one_of(number, whole, anything)
        pairs = [
            st.tuples(operand, operand),
            st.tuples(whole, whole),
            st.tuples(number, whole),
            st.tuples(text, text),
            st.tuples(truth, truth),
        ]
        if not is_strict:
            pairs += [st.tuples(anything, text), st.tuples(anything, operand), st.tuples(anything, anything)]
        numbers = [
            number,
            st.tuples(st.just("float op"), st.sampled_from("+-*/"), number, operand),
            st.tuples(st.just("negative"), number),
            st.tuples(st.just("if"), truth, number, number),
        ]
        if not is_strict:
            several = st.lists(operand, min_size=1, max_size=3).map(lambda parts: [*parts, ("float", 1.0)])
            numbers.append(st.tuples(st.sampled_from(["min", "max"]), several))
            numbers.append(st.tuples(st.just("abs"), number))
        wholes = [
            whole,
            st.tuples(st.just("int op"), st.sampled_from("+-*/%"), whole, whole),
            st.tuples(st.just("cut"), number),
            st.tuples(st.just("size"), text),
            st.tuples(st.just("int negative"), whole),
        ]
        comparison = st.one_of(pairs).flatmap(
            lambda pair: st.tuples(st.just("compare"), st.sampled_from(list(SIGNS)), st.just(pair[0]), st.just(pair[1]))
        )
        listed = st.one_of(
            st.tuples(
                st.just("in"), number, st.lists(floats.filter(math.isfinite).map(lambda v: ("float", v)), max_size=3)
            ),
            st.tuples(st.just("in"), text, st.lists(texts.map(lambda v: ("text", v)), max_size=3)),
            st.tuples(st.just("in"), whole, st.lists(st.integers(-1, 2).map(lambda v: ("int", v)), max_size=3)),
        )
        looks = st.tuples(
            st.sampled_from(["startsWith", "endsWith", "contains", "matches"]),
            text,
            st.sampled_from(["", "O", "N", "PE"]),
        )
        truths = [
            *(truth, comparison, comparison, listed, looks),
            st.tuples(st.just("not"), truth),
            st.tuples(st.sampled_from(["&&", "||"]), st.lists(truth, min_size=2, max_size=3)),
            st.tuples(st.just("if"), truth, truth, truth),
        ]
        return st.one_of(numbers), st.one_of(wholes), st.one_of(truths)

    parts = (number, whole, truth)
    for _ in range(3):
        parts = deeper(parts)
    return parts


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def written(tree):
    """The text of a tree, with more brackets than it needs."""
    match tree:
        case ("float", value):
            return repr(value)
        case ("int", value):
            return str(value)
        case ("text", value):
            return quoted(value)
        case ("bool", value):
            return "true" if value else "false"
        case ("field", name, field):
            return f"{name}.{field}"
        case ("good", name):
            return f"{name}.good"
        case ("has", name, field):
            return f"has({name}.{field})"
        case ("bit", name, number):
            return f"bit({name}.status, {number})"
        case ("int op", "/" | "%" as sign, left, right) if plainly(right) == (
            "int",
            0,
        ):  # a division by a 0 that is written out is refused
            return f"({written(left)} {sign} (1 - 1))"
        case ("float op" | "int op" | "compare", sign, left, right):
            return f"({written(left)} {sign} {written(right)})"
        case ("negative" | "int negative", inner):
            return f"-({written(inner)})"
        case ("not", inner):
            return f"!({written(inner)})"
        case ("if", test, left, right):
            return f"({written(test)} ? {written(left)} : {written(right)})"
        case ("min" | "max" as name, parts):
            return f"{name}({', '.join(map(written, parts))})"
        case ("abs", inner):
            return f"abs({written(inner)})"
        case ("cut", inner):
            return f"int({written(inner)})"
        case ("size", inner):
            return f"size({written(inner)})"
        case ("in", left, items):
            return f"({written(left)} in [{', '.join(map(written, items))}])"
        case ("&&" | "||" as sign, parts):
            return "(" + f" {sign} ".join(map(written, parts)) + ")"
        case (method, inner, part):
            return f"{written(inner)}.{method}({quoted(part)})"


# -- the model --------------------------------------------------------------------------------------------


def known_float(value):
    return None if value is None or math.isnan(value) else value


def as_float(value):
    """A value in arithmetic: whatever it is, as a float; a text is no number."""
    return None if value is None or isinstance(value, str) else known_float(float(value))


def calculated(sign, left, right):
    if left is None or right is None:
        return None
    try:
        result = {"+": left + right, "-": left - right, "*": left * right}.get(sign)
        result = left / right if sign == "/" else result
    except ZeroDivisionError:
        result = math.nan if left == 0 else math.copysign(math.inf, left) * math.copysign(1.0, right)
    return known_float(result)


def whole(value):
    return value if value is not None and LEAST <= value <= MOST else None


def counted(sign, left, right):
    if left is None or right is None:
        return None
    if sign in "/%":
        if right == 0:
            return None
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return whole(quotient) if sign == "/" else left - right * quotient
    return whole({"+": left + right, "-": left - right, "*": left * right}[sign])


def plainly(tree):
    """A tree; of a number with a minus in front, the number: that is a literal as well."""
    while tree[0] in ("negative", "int negative") and plainly(tree[1])[0] in ("int", "float"):
        tree = plainly(tree[1])
    return tree


def compared(sign, left, right, values):
    """Two known values, exactly where that is promised: with a literal, among integers of columns, among integers."""
    first, second = values
    if isinstance(first, str) != isinstance(second, str):
        return {"==": False, "!=": True}.get(sign)
    if not isinstance(first, str):
        kinds = {plainly(left)[0], plainly(right)[0]}
        of_columns = kinds == {"field"} and isinstance(first, int) and isinstance(second, int)
        counts = kinds <= {"int", "int op", "cut", "size", "int negative"}
        if not (kinds & {"int", "float"} or of_columns or counts):
            first, second = float(first), float(second)
    return SIGNS[sign](first, second)


def joined(sign, found):
    deciding = sign == "||"
    return deciding if deciding in found else None if None in found else not deciding


def condition(value):
    """A value as a condition: a number holds while it is not 0."""
    if value is None or isinstance(value, bool):
        return value
    return None if isinstance(value, str) else value != 0


def model(tree, row):
    """What a tree is in one row; None for unknown."""
    match tree:
        case ("float" | "int" | "text" | "bool", value):
            return value
        case ("field", name, field):
            return getattr(row[name], field)
        case ("good", name):
            return row[name].value is not None
        case ("has", name, field):
            return row[name].seen if field == "status" else getattr(row[name], field) is not None
        case ("bit", name, number):
            return bool(row[name].status >> number & 1) if row[name].seen else None
        case ("float op", sign, left, right):
            return calculated(sign, as_float(model(left, row)), as_float(model(right, row)))
        case ("int op", sign, left, right):
            return counted(sign, model(left, row), model(right, row))
        case ("negative", inner):
            value = as_float(model(inner, row))
            return None if value is None else -value
        case ("int negative", inner):
            value = model(inner, row)
            return None if value is None else whole(-value)
        case ("not", inner):
            value = condition(model(inner, row))
            return None if value is None else not value
        case ("if", test, left, right):
            chosen = condition(model(test, row))
            return None if chosen is None else model(left if chosen else right, row)
        case ("min" | "max" as name, parts):
            found = [as_float(model(part, row)) for part in parts]
            return None if None in found else (min if name == "min" else max)(found)
        case ("abs", inner):
            value = as_float(model(inner, row))
            return None if value is None else abs(value)
        case ("cut", inner):
            value = as_float(model(inner, row))
            return None if value is None or abs(value) >= 2.0**63 else int(value)
        case ("size", inner):
            value = model(inner, row)
            return None if value is None else len(value)
        case ("compare", sign, left, right):
            values = model(left, row), model(right, row)
            if is_condition(left) or is_condition(right):
                values = condition(values[0]), condition(values[1])
            return None if None in values else compared(sign, left, right, values)
        case ("in", left, items):
            value = model(left, row)
            found = [None if value is None else compared("==", left, item, (value, item[1])) for item in items]
            return joined("||", found)
        case ("&&" | "||" as sign, parts):
            return joined(sign, [condition(model(part, row)) for part in parts])
        case (method, inner, part):
            value = model(inner, row)
            looks = {"startsWith": str.startswith, "endsWith": str.endswith}.get(
                method, lambda word, part: part in word
            )
            return None if value is None else looks(value, part)


def is_condition(tree):
    if tree[0] == "if":
        return is_condition(tree[2])
    plain = {
        "float",
        "int",
        "text",
        "float op",
        "int op",
        "negative",
        "int negative",
        "min",
        "max",
        "abs",
        "cut",
        "size",
    }
    return tree[1] == BOOL if tree[0] == "field" else tree[0] not in plain


# -- columns ----------------------------------------------------------------------------------------------


def held(values):
    known = np.array([value is not None for value in values], bool)
    number = [math.nan if value is None or isinstance(value, str) else float(value) for value in values]
    is_integer = np.array([isinstance(value, int) for value in values], bool)
    text = np.array([value if isinstance(value, str) else None for value in values], object)
    return Held(
        known,
        None if any(isinstance(value, str) for value in values) and np.isnan(number).all() else np.array(number),
        text if any(isinstance(value, str) for value in values) else None,
        np.array([value if isinstance(value, int) else 0 for value in values], np.int64) if is_integer.any() else None,
        None if is_integer.all() else is_integer,
    )


def columns_of(rows):
    inputs = {
        name: Input(
            held([row[name].value for row in rows]),
            np.array([row[name].status for row in rows], np.uint64),
            previous=held([row[name].previous for row in rows]),
            seen=np.array([row[name].seen for row in rows], bool),
        )
        for name in SHAPES
    }
    return Columns(len(rows), inputs)


def in_eight_bits(truths):
    return [{True: 1, False: -1, None: 0}[condition(truth)] for truth in truths]


OURS = trees(st.sampled_from(["value", "value", "previous"]), is_strict=False)
STRICT = trees(st.just("value"), is_strict=True)
MIXED = rows_of(st.one_of(floats, integers), st.one_of(floats, integers, texts))


@pytest.mark.parametrize("run", [expression.RUN, 3])
@settings(max_examples=100)
@given(tree=OURS[2], rows=MIXED)
def test_a_condition_is_that_of_the_model_row_by_row(run, tree, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expression, "RUN", run)
        found = Expression.parse(written(tree), SHAPES).truth(columns_of(rows))
    assert found.dtype == np.int8
    assert found.tolist() == in_eight_bits([model(tree, row) for row in rows])


@settings(max_examples=100)
@given(tree=st.one_of(OURS[0], OURS[1]), rows=MIXED)
def test_a_value_is_that_of_the_model_row_by_row(tree, rows):
    values, known = Expression.parse(written(tree), SHAPES).value(columns_of(rows))
    expected = [as_float(model(tree, row)) for row in rows]
    assert [value if is_known else None for value, is_known in zip(values.tolist(), known, strict=True)] == expected
    assert np.isnan(values[~known]).all()


def theirs(program, row):
    """What another implementation of CEL says; None for an error."""
    context = {name: {"value": sample.value, "good": True} for name, sample in row.items()}
    try:
        return program.execute(context)
    except (ArithmeticError, ValueError, TypeError, RuntimeError):
        return None


@settings(max_examples=200)
@given(tree=st.one_of(STRICT), rows=rows_of(floats, floats))
def test_what_is_known_is_what_another_implementation_of_cel_says(tree, rows):
    text = written(tree)
    rows = [row for row in rows if all(sample.value is not None for sample in row.values())]
    parsed, program = Expression.parse(text, SHAPES), cel.compile(text)
    found = [theirs(program, row) for row in rows]
    if is_condition(tree):
        truths = parsed.truth(columns_of(rows)).tolist()
        known = [(truth == 1, other) for truth, other in zip(truths, found, strict=True) if truth]
    else:
        values, mask = parsed.value(columns_of(rows))
        known = [(value, other) for value, other, told in zip(values.tolist(), found, mask, strict=True) if told]
    assert [ours for ours, _ in known] == [other for _, other in known]
