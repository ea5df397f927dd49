"""Answers and errors as Prometheus writes them, built from columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.grafana.evaluating import Series

MEDIA_TYPE = "application/json"
_MILLISECOND, _SECOND = 1_000_000, 1000


def matrix(series: Sequence[Series]) -> Iterator[bytes]:
    """Yield series with all of their values, as ``resultType`` matrix has them."""
    yield b'{"resultType":"matrix","result":['
    before = ""
    for one in series:
        if len(one.times):
            pairs = pc.binary_join_element_wise(_times(one.times), _values(one.values), "")
            yield f'{before}{{"metric":{_json(one.labels)},"values":[{",".join(pairs.to_pylist())}]}}'.encode()
            before = ",\n"
    yield b"]}"


def vector(series: Sequence[Series]) -> Iterator[bytes]:
    """Yield the one value of each series, as ``resultType`` vector has them."""
    yield b'{"resultType":"vector","result":['
    before = ""
    for one in series:
        if len(one.times):
            yield f'{before}{{"metric":{_json(one.labels)},"value":{_pair(one)}}}'.encode()
            before = ",\n"
    yield b"]}"


def scalar(series: Sequence[Series]) -> Iterator[bytes]:
    """Yield a number at an instant, as ``resultType`` scalar has it."""
    yield f'{{"resultType":"scalar","result":{_pair(series[0])}}}'.encode()


def document(data: Any, warnings: Sequence[str] = ()) -> dict[str, Any]:
    """Return plain values as the document of an answer."""
    return {"status": "success", "data": data, **({"warnings": list(warnings)} if warnings else {})}


def wrapped(data: Iterator[bytes], warnings: Sequence[str]) -> Iterator[bytes]:
    """Yield the document around pieces of data; warnings are looked at when these have been given."""
    yield b'{"status":"success","data":'
    yield from data
    distinct = list(dict.fromkeys(warnings))
    yield (f',"warnings":{_json(distinct)}}}' if distinct else "}").encode()


def _pair(one: Series) -> str:
    return str(pc.binary_join_element_wise(_times(one.times[:1]), _values(one.values[:1]), "")[0])


def _times(times: NDArray[np.int64]) -> pa.Array:
    """Return the beginning of each pair: seconds with three digits, as JSON numbers."""
    seconds, millis = np.divmod(times // _MILLISECOND, _SECOND)
    return pc.binary_join_element_wise("[", pa.array(seconds).cast(pa.utf8()), _fractions().take(pa.array(millis)), "")


@lru_cache
def _fractions() -> pa.Array:
    return pa.array(["", *(f".{number:03d}".rstrip("0") for number in range(1, _SECOND))])


def _values(values: NDArray[np.float64]) -> pa.Array:
    """Return the end of each pair: the value in quotes, as Go reads and writes it."""
    text = pa.array(values).cast(pa.utf8())
    finite = np.isfinite(values)
    if not finite.all():
        odd = values[~finite]
        names = np.where(np.isnan(odd), "NaN", np.where(odd > 0, "+Inf", "-Inf"))
        text = pc.replace_with_mask(text, pa.array(~finite), pa.array(names.tolist()))
    return pc.binary_join_element_wise(',"', text, '"]', "")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
