"""The command line as a user types it: the same answers with and without a running archive, and mistakes in words."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Kind, SampleBatch
from archiver.testing.service import COMMAND, running_service

T0 = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
DAY = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z")
SECOND = 10**9
CONFIG = """
[query]
hedge_after = "1h"
[[backends]]
name = "lake"
kind = "parquet"
[[backends]]
name = "warm"
kind = "sql"
url = "sqlite:///warm.db"
[[groups]]
name = "all"
elements = ["P:*"]
backends = ["lake", "warm"]
[[groups]]
name = "thin"
elements = ["P:ramp"]
backends = ["lake", "warm"]
smoothing = { kind = "swinging_door", tolerance = 0.5 }
"""


def fill(data: Path) -> None:
    """A ramp, one of each kind of value, a correction, a rejection, and two dead letters."""
    data.mkdir()
    (data / "forebay.toml").write_text(CONFIG)
    with Archive(config.load(data / "forebay.toml", overrides={"data": str(data)})) as archive:
        times = [T0 + i * SECOND for i in range(60)]
        archive.intake.submit(SampleBatch.from_columns("P:ramp", times, [float(i) for i in range(60)])).result()
        archive.intake.submit(
            SampleBatch.from_columns(
                [f"P:{kind}" for kind in ("int", "uint", "bool", "text", "binary", "enum", "floats", "none")],
                [T0 + 7] * 8,
                {
                    Kind.INT: pa.array([2**63 - 1] + [None] * 7),
                    Kind.UINT: pa.array([None, 2**64 - 1] + [None] * 6, pa.uint64()),
                    Kind.BOOL: pa.array([None] * 2 + [True] + [None] * 5),
                    Kind.TEXT: pa.array([None] * 3 + ['a,"b"\nc'] + [None] * 4),
                    Kind.BINARY: pa.array([None] * 4 + [b"\x00\xff"] + [None] * 3),
                    Kind.ENUM: pa.array([None] * 5 + [3] + [None] * 2, pa.int32()),
                    Kind.FLOATS: pa.array([None] * 6 + [[1.0, float("nan")], None], pa.list_(pa.float64())),
                },
                status=pa.array([2**63 + 1] * 8, pa.uint64()),
            )
        ).result()
        archive.intake.submit(SampleBatch.from_columns("P:ramp", times[:1], [0.25])).result()
        archive.intake.submit(SampleBatch.from_columns("OTHER", times[:1], [1.0])).result()
        odd = SampleBatch.from_columns(
            ["P:odd", "P:odd", "P:word"],
            [T0, T0, T0],
            {Kind.FLOAT: pa.array([1.5, 2.5, None]), Kind.TEXT: pa.array([None, None, "123"])},
            sequence=[0, 1, 0],
        )
        archive.dead_letters.add("warm", "all", "as the test asked for", odd)
        assert archive.flush()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data: Path = tmp_path_factory.mktemp("filled") / "data"
    fill(data)
    return data


@pytest.fixture(scope="module", params=["alone", "beside a running archive"])
def data(request: pytest.FixtureRequest, filled: Path) -> Iterator[Path]:
    if request.param == "alone":
        yield filled
        return
    with running_service(filled):
        yield filled


QUERIES = {
    "samples": ["P:ramp", *DAY],
    "several elements": ["P:ramp", "P:int", "P:never", *DAY],
    "every kind": [f"P:{k}" for k in ("int", "uint", "bool", "text", "binary", "enum", "floats", "none")] + [*DAY],
    "one backend": ["P:ramp", *DAY, "--backend", "warm"],
    "one group": ["P:ramp", *DAY, "--backend", "warm", "--group", "thin"],
    "ranges": [
        "P:ramp",
        "--range",
        "lake=2026-01-01T00:00:00Z/2026-01-01T00:00:30Z",
        "--range",
        "warm=2026-01-01T00:00:30Z/2026-01-01T00:01:00Z",
    ],
    "before": ["P:ramp", "--from", "2026-01-01T00:00:58.5Z", "--to", "2026-01-02T00:00:00Z", "--before"],
    "limit": ["P:ramp", *DAY, "--limit", "3"],
    "aggregates": ["P:ramp", *DAY, "--aggregate", "count,min,mean", "--aggregate", "last", "--bucket", "12h"],
    "one bucket": ["P:ramp", *DAY, "--aggregate", "std"],
    "at": ["P:ramp", "P:int", "--at", "2026-01-01T00:00:10.5Z"],
    "at of a backend": ["P:ramp", "--at", "2026-01-01T00:00:10.5Z", "--backend", "warm"],
    "as of": ["P:ramp", *DAY, "--as-of", "2025-01-01T00:00:00Z"],
    "versions": ["P:ramp", *DAY, "--versions"],
    "where": ["P:ramp", *DAY, "--where", "P:ramp > 12 and P:bool and not P:ramp >= 15.5"],
    "side by side": ["P:ramp", "P:int", *DAY, "--wide", "last", "--step", "30s", "--tolerance", "1m"],
    "on a line": ["P:ramp", "P:text", *DAY, "--wide", "linear", "--tolerance", "9s", "--times-of", "P:int"],
    "side by side where": ["P:ramp", *DAY, "--wide", "nearest", "--tolerance", "0s", "--where", "P:ramp in (3, 5)"],
    "nothing": ["P:never", *DAY],
}


def rows_of(output: bytes, format_name: str, *, named: bool) -> Any:
    if format_name == "csv":
        return output.decode()
    if format_name == "json":
        document = json.loads(output)
        for part in document["parts"]:
            del part["seconds"]
            if not named:  # which of the two is asked hangs on how quick each was of late
                assert part.pop("backend") in ("lake", "warm")
        return document
    if format_name == "ndjson":
        return [json.loads(line) for line in output.splitlines()]
    source = io.BytesIO(output)
    return repr(pq.read_table(source) if format_name == "parquet" else pa.ipc.open_stream(source).read_all())


ANSWERS: dict[tuple[str, str], Any] = {}


@pytest.mark.parametrize(
    ("name", "format_name"),
    [(name, "json") for name in QUERIES]
    + [(name, f) for name in ("every kind", "aggregates", "at") for f in ("csv", "ndjson", "arrow", "parquet")]
    + [("on a line", f) for f in ("csv", "ndjson", "arrow", "parquet")],
)
def test_a_query_answers_the_same_with_and_without_a_running_archive(data: Path, forebay, name: str, format_name: str):
    done = forebay("query", *QUERIES[name], "--format", format_name, "--data", data)
    assert done.code == 0, done.errors
    rows = rows_of(done.output, format_name, named=not {"--backend", "--range"}.isdisjoint(QUERIES[name]))
    assert ANSWERS.setdefault((name, format_name), rows) == rows


def test_csv_is_exact(data: Path, forebay):
    text = forebay("query", *QUERIES["every kind"], "--data", data).text
    bits, time = 2**63 + 1, "2026-01-01T00:00:00.000000007Z"
    assert text == "element,source_time,value,status\n" + "".join(
        f"P:{kind},{time},{value},{bits}\n"
        for kind, value in (
            ("binary", "AP8="),
            ("bool", "true"),
            ("enum", "3"),
            ("floats", '"[1.0,""NaN""]"'),
            ("int", "9223372036854775807"),
            ("none", ""),
            ("text", '"a,""b""\nc"'),
            ("uint", "18446744073709551615"),
        )
    )


def test_an_answer_goes_to_a_file(data: Path, forebay, tmp_path: Path):
    done = forebay("query", "P:ramp", *DAY, "--data", data, "-o", tmp_path / "out.csv")
    assert (done.code, done.output) == (0, b"")
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "P:ramp,2026-01-01T00:00:00.000000000Z,0.25,0"


def test_pages_join_to_the_whole(data: Path, forebay):
    pages, cursor = [], None
    while cursor is not None or not pages:
        words = ["query", "P:ramp", *DAY, "--limit", "25", "--format", "json", "--data", data]
        document = json.loads(forebay(*words, *(["--cursor", cursor] if cursor else [])).output)
        pages.append([sample["value"] for sample in document["samples"]])
        cursor = document["cursor"]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert list(chain.from_iterable(pages)) == [0.25, *map(float, range(1, 60))]


@pytest.mark.parametrize("format_name", ["csv", "ndjson", "arrow", "parquet"])
def test_what_comes_with_the_rows_is_on_the_error_stream(data: Path, forebay, tmp_path: Path, format_name: str):
    whole = ["query", "P:ramp", *DAY, "--data", data, "--format", format_name, "-o", tmp_path / "out"]
    assert forebay(*whole).errors == ""
    done = forebay(*whole, "--limit", "25")
    (line,) = done.errors.splitlines()
    assert line.startswith("there is more: --cursor ")
    rest = forebay(*whole, "--limit", "25", "--cursor", line.split()[-1])
    assert rest.errors.startswith("there is more: --cursor ")
    assert rest.errors != done.errors
    lacking = forebay(
        *whole[:-4],
        "--format",
        format_name,
        "-o",
        tmp_path / "out",
        "--range",
        "lake=2026-01-01T00:00:30Z/2026-01-01T12:00:00Z",
    )
    assert lacking.errors.splitlines() == [
        "the answer is partial",
        "missing: all elements, 2026-01-01T00:00:00.000000000Z to 2026-01-01T00:00:30.000000000Z: "
        "no range of the query names a backend for it",
        "missing: all elements, 2026-01-01T12:00:00.000000000Z to 2026-01-02T00:00:00.000000000Z: "
        "no range of the query names a backend for it",
    ]


def test_rows_to_the_output_are_rows_only(data: Path, forebay):
    done = forebay("query", "P:int", "P:intt", *DAY, "--data", data)
    assert done.text.splitlines()[1:] == [f"P:int,2026-01-01T00:00:00.000000007Z,{2**63 - 1},{2**63 + 1}"]
    partial, line = done.errors.splitlines()
    assert partial == "the answer is partial"
    assert line.startswith("missing: P:intt, ")
    assert line.endswith("no backend has a sample of it; did you mean 'P:int'?")
    objects = forebay("query", "P:int", *DAY, "--data", data, "--format", "ndjson").text.splitlines()
    assert [json.loads(line)["element"] for line in objects] == ["P:int"]


def test_globs_stand_for_elements(data: Path, forebay):
    rows = forebay("query", "P:[bi]*", "P:uint", *DAY, "--data", data).text.splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["P:binary", "P:bool", "P:int", "P:uint"]
    at = forebay("query", "P:u*", "--at", "2026-01-02T00:00:00Z", "--data", data).text.splitlines()[1:]
    assert [row.partition(",")[0] for row in at] == ["P:uint"]


STATES: dict[str, str] = {}


@pytest.mark.parametrize(
    "words",
    [
        ["ledger"],
        ["elements"],
        ["elements", "P:[bi]*"],
        ["dead-letters", "list"],
        ["dead-letters", "show", "1"],
        ["explain", "P:ramp", *DAY],
        ["explain", "P:odd", *DAY],
        ["explain", "OTHER", *DAY],
        ["smooth", "P:ramp", *DAY, "--what-if", "--kind", "value", "--tolerance", "1.5", "--tolerance", "5"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_the_state_is_the_same_with_and_without_a_running_archive(data: Path, forebay, words: list[str]):
    done = forebay(*words, "--data", data)
    assert (done.code, done.errors) == (0, "")
    assert STATES.setdefault(" ".join(words), done.text) == done.text


def test_what_the_state_is(data: Path, forebay):
    assert "P:ramp is known, of type float." in forebay("explain", "P:ramp", *DAY, "--data", data).text
    assert "1 sample at" in forebay("explain", "OTHER", *DAY, "--data", data).text
    assert "ever accepted; did you mean 'P:ramp'?" in forebay("explain", "p:rramp", *DAY, "--data", data).text
    ledger = [line.split() for line in forebay("ledger", "--data", data).text.splitlines()]
    assert ["lake", "all", "stored", "69"] in ledger
    assert ["intake", "rejected", "no", "archive", "group", "takes", "it", "1"] in ledger
    header, lake, warm = forebay("backends", "--data", data).text.splitlines()
    assert header.split()[:4] == ["name", "kind", "state", "position"]
    assert lake.split()[:3] == ["lake", "parquet", "running"]
    assert warm.split()[:3] == ["warm", "sql", "running"]


@pytest.mark.parametrize("running", [False, True], ids=["alone", "beside a running archive"])
def test_what_changes_something(tmp_path: Path, forebay, running: bool):
    data = tmp_path / "data"
    fill(data)

    def work() -> None:
        again = forebay("copy", "lake", "warm", *DAY, "--data", data)
        assert (again.code, again.text) == (0, "read=71 stored=0 duplicates=71\n")
        recording = tmp_path / "recording.csv"
        recording.write_text("when,P:speed,P:note\n2026-01-01T00:00:00Z,1.5,ok\nnever,2.5,ok\n2026-01-01T00:00:01Z,,\n")
        done = forebay("replay", recording, "--time", "when", "--data", data)
        assert done.code == 0
        assert f"{recording}, line 3" in done.errors
        assert done.text.splitlines()[0] == "intake: refused rows=1 buffered=4 rejected=0"
        assert [line.split() for line in done.text.splitlines()[3:]] == [
            ["lake", "all", "stored", "4"],
            ["warm", "all", "stored", "4"],
        ]
        letter = tmp_path / "letter.csv"
        letter.write_bytes(forebay("dead-letters", "show", "1", "--data", data).output.replace(b"1.5", b"9.5"))
        done = forebay("dead-letters", "replay", "1", "--mended", letter, "--data", data)
        assert (done.code, done.text) == (0, "buffered=3 rejected=0\n"), done.errors
        assert forebay("dead-letters", "list", "--data", data).text == "nothing\n"
        assert " as the test asked for" in forebay("dead-letters", "list", "--all", "--data", data).text
        mended = forebay("query", "P:odd", "P:word", *DAY, "--data", data).text
        assert [line.split(",")[2] for line in mended.splitlines()[1:]] == ["9.5", "2.5", '"123"']

    if not running:
        work()
        return
    with running_service(data):
        work()


MISTAKES = {
    "unknown command": (["quary"], "No such command 'quary'"),
    "unknown option": (["query", "P:ramp", "--form", "now-1h"], "No such option: --form"),
    "no element": (["query"], "Missing argument 'ELEMENT"),
    "no match": (["query", "P:rump*", *DAY], "no element matches 'P:rump*'; did you mean 'P:ramp'?"),
    "no match at": (["query", "P:rump*", "--at", "now"], "did you mean 'P:ramp'?"),
    "no start": (["query", "P:ramp"], "--from is missing"),
    "bad time": (["query", "P:ramp", "--from", "yesterday"], "'yesterday' is not a time: write ISO-8601"),
    "missing zone": (["query", "P:ramp", "--from", "2026-01-01T00:00:00"], "has no time zone: add Z"),
    "turned round": (["query", "P:ramp", "--from", "now", "--to", "now-1h"], "before it starts"),
    "unknown backend": (["query", "P:ramp", "--from", "now-1h", "--backend", "lakke"], "there are lake, warm"),
    "unknown backend at": (["query", "P:ramp", "--at", "now", "--backend", "lakke"], "there are lake, warm"),
    "unknown range": (["query", "P:ramp", "--range", "lakke=now-1h/now"], "there are lake, warm"),
    "bad range": (["query", "P:ramp", "--range", "lake"], "write NAME=FROM/TO"),
    "unknown aggregate": (["query", "P:ramp", *DAY, "--aggregate", "median"], "there are count"),
    "bad bucket": (["query", "P:ramp", *DAY, "--aggregate", "mean", "--bucket", "1 fortnight"], "fortnight"),
    "bucket alone": (["query", "P:ramp", *DAY, "--bucket", "1h"], "a bucket without an aggregate"),
    "no limit": (["query", "P:ramp", *DAY, "--limit", "0"], "it is 1 or more"),
    "bad cursor": (["query", "P:ramp", *DAY, "--cursor", "nonsense"], "cursor"),
    "bad condition": (["query", "P:ramp", *DAY, "--where", "P:int ="], "character 8: expected a number"),
    "bad comparison": (["query", "P:ramp", *DAY, "--where", "P:int = 'x'"], "P:int holds int values"),
    "no tolerance": (["query", "P:ramp", *DAY, "--wide", "nearest"], "nearest needs a tolerance"),
    "step alone": (["query", "P:ramp", *DAY, "--step", "1s"], "a step is of a wide table"),
    "unknown format": (["query", "P:ramp", *DAY, "--format", "xml"], "'xml' is not one of"),
    "unknown group": (["query", "P:ramp", *DAY, "--group", "thick"], "there are all, thin"),
    "explain no start": (["explain", "P:ramp"], "Missing option '--from'"),
    "unknown letter": (["dead-letters", "show", "77"], "there is no dead letter 77"),
    "replay unknown letter": (["dead-letters", "replay", "77"], "there is no dead letter 77"),
    "mended file": (["dead-letters", "replay", "1", "--mended", "nope.csv"], "nope.csv"),
    "copy from nowhere": (["copy", "lakke", "warm", *DAY], "there are lake, warm"),
    "copy to nowhere": (["copy", "lake", "wram", *DAY], "there are lake, warm"),
    "copy to itself": (["copy", "lake", "lake", *DAY], "itself"),
    "smooth for real": (["smooth", "P:ramp", *DAY], "add --what-if"),
    "bad tolerance": (["smooth", "P:ramp", *DAY, "--what-if", "--tolerance", "-1"], "--tolerance = -1"),
    "replay nothing": (["replay", "nope.csv", "--time", "t"], "nope.csv"),
    "replay no time": (["replay", "nope.csv"], "neither time nor --time-unit"),
    "replay bad kind": (["replay", "nope.csv", "--time", "t", "--kind", "complex"], "--kind = 'complex'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_words(data: Path, forebay, name: str):
    words, message = MISTAKES[name]
    done = forebay(*words, *(() if name == "unknown command" else ("--data", data)))
    assert done.code == 2, done.errors
    assert message in done.errors.replace("│\n│ ", "")
    assert done.output == b""


def test_a_column_that_is_not_there(data: Path, forebay, tmp_path: Path):
    file = tmp_path / "x.csv"
    file.write_text("t,v\n0,1\n")
    for words in (["--time", "when"], ["--time", "t", "--time-unit", "1s", "--value", "w"]):
        done = forebay("replay", file, *words, "--data", data)
        assert (done.code, done.text) == (2, "")
        assert f"{file} has no column" in done.errors
        assert "it has: t, v" in done.errors


def test_places_that_cannot_be(tmp_path: Path, forebay, filled: Path):
    done = forebay("query", "P:ramp", *DAY, "--data", filled, "--output", tmp_path / "no" / "such" / "folder")
    assert (done.code, done.text) == (1, "")
    assert "No such file or directory" in done.errors
    done = forebay("ledger", "--data", tmp_path / "nowhere")
    assert done.code == 2
    assert "there is no archive in" in done.errors
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").touch()
    done = forebay("ledger", "--data", tmp_path / "file")
    assert done.code == 1
    assert "cannot be used" in done.errors


def test_a_configuration_that_cannot_be(tmp_path: Path, forebay):
    file = tmp_path / "forebay.toml"
    done = forebay("check", file)
    assert (done.code, done.errors) == (2, f"forebay: {file}: cannot be read: No such file or directory\n")
    file.write_bytes(b"\xff")
    assert "not UTF-8" in forebay("check", file).errors
    file.write_text('[[backends]]\nname = "lake"\nkind = "parket"\n')
    for words in (
        ["check", file],
        ["ledger", "--config", file],
        ["ledger", "--data", tmp_path],
        ["up", "--config", file],
    ):
        done = forebay(*words)
        assert done.code == 2
        assert "backends[0].kind = 'parket': no such backend; did you mean 'parquet'?" in done.errors
    file.write_text(CONFIG)
    done = forebay("check", file)
    assert (done.code, done.errors) == (0, "")
    assert done.text == f"{file} is valid: 2 backends, 2 groups (all -> lake and warm, thin -> lake and warm)\n"


def test_a_directory_that_a_process_without_an_address_uses(tmp_path: Path, forebay):
    with Archive(config.load(overrides={"data": str(tmp_path)})):
        done = forebay("ledger", "--data", tmp_path)
    assert done.code == 1
    assert f"is in use by another forebay (process {os.getpid()})" in done.errors


def test_an_archive_that_does_not_answer_any_more(tmp_path: Path, forebay):
    with Archive(config.load(overrides={"data": str(tmp_path)})) as archive:
        archive.lock.announce({"url": "http://127.0.0.1:9"})
        done = forebay("ledger", "--data", tmp_path)
    assert done.code == 1
    assert "does not answer" in done.errors


def test_a_reader_that_goes_away(filled: Path):
    command = [*COMMAND, "query", "P:ramp", *DAY, "--data", str(filled)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("words", [[], ["--help"], ["dead-letters"], ["query", "--help"]], ids=" ".join)
def test_help(forebay: Callable[..., Any], words: list[str]):
    done = forebay(*words)
    assert done.code in (0, 2)
    assert "Usage: forebay" in done.text + done.errors
