"""Which Parquet encoding makes the values of a file smallest, found by looking at them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch

Encodings = dict[str, str]
DICTIONARY = "DICTIONARY"
_SAMPLE_ROWS = 16_384
_SMALL = 32_768
_CANDIDATES = {
    Kind.FLOAT: ("PLAIN", DICTIONARY, "BYTE_STREAM_SPLIT"),
    Kind.INT: ("DELTA_BINARY_PACKED", DICTIONARY, "PLAIN"),
    Kind.FLOATS: ("PLAIN", DICTIONARY, "BYTE_STREAM_SPLIT"),
    Kind.INTS: ("DELTA_BINARY_PACKED", DICTIONARY, "PLAIN"),
}
_BASE: Encodings = {
    "element": DICTIONARY,
    "source_time": "DELTA_BINARY_PACKED",
    "sequence": DICTIONARY,
    "receive_time": DICTIONARY,
    "status": DICTIONARY,
}


def encodings_of(batch: SampleBatch) -> Encodings:
    """Return the encoding of each Parquet column, by column path, for a file of sorted samples.

    Numbers take the encoding that makes a sample of them smallest; a small file, which will soon be merged, the
    first candidate. Everything else takes a dictionary, which Parquet gives up by itself when it does not pay.
    """
    chosen = dict(_BASE)
    for kind in batch.kinds:
        candidates = _CANDIDATES.get(kind, ("PLAIN",) if kind.item is Kind.BOOL else (DICTIONARY,))
        if len(candidates) == 1 or batch.num_rows < _SMALL:
            chosen[_path(kind)] = candidates[0]
        else:
            chosen[_path(kind)] = _smallest(_sample(batch.values(kind)), kind, candidates)
    return chosen


def writer_properties(encodings: Encodings, compression_level: int = 1) -> dict[str, object]:
    """Return keyword arguments of `pyarrow.parquet.ParquetWriter` for these encodings."""
    return {
        "compression": "zstd",
        "compression_level": compression_level,
        "use_dictionary": [path for path, name in encodings.items() if name == DICTIONARY],
        "column_encoding": {path: name for path, name in encodings.items() if name != DICTIONARY},
        "dictionary_pagesize_limit": 512 * 1024,
        "store_schema": False,
    }


def repetitive(values: pa.Array) -> bool:
    """Whether the numbers of one element come from so few that a dictionary pays (setpoints, decimals)."""
    distinct = int(pc.count_distinct(values).as_py())
    return 2 * distinct <= len(values)


def _path(kind: Kind) -> str:
    return f"{kind.column}.list.element" if kind.is_list else kind.column


def _sample(values: pa.Array) -> pa.Array:
    """Return four runs of the values: neighbours stay neighbours, and several elements are seen."""
    run = _SAMPLE_ROWS // 4
    starts: NDArray[np.int64] = np.linspace(0, len(values) - run, 4).astype(np.int64)
    return pa.concat_arrays([values.slice(start, run) for start in starts.tolist()])


def _smallest(values: pa.Array, kind: Kind, candidates: tuple[str, ...]) -> str:
    table = pa.table({kind.column: values})
    return min(candidates, key=lambda name: _encoded_size(table, {_path(kind): name}))


def _encoded_size(table: pa.Table, encodings: Encodings) -> int:
    sink = pa.MockOutputStream()
    pq.write_table(table, sink, **writer_properties(encodings))
    return int(sink.size())
