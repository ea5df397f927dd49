"""Text files to samples: delimiters, times, values, missing ones, and rows that are refused by line."""

import gzip

import pytest
from pydantic import ValidationError

from archiver.model import InvalidInputError, Kind, parse_time
from archiver.sources.replay import Replay, ReplayOptions
from archiver.sources.replay.text import sniff


@pytest.fixture
def replay(tmp_path):
    def run(text, **options):
        file = tmp_path / options.pop("name", "data.csv")
        data = text if isinstance(text, bytes) else text.encode()
        file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
        chunks = list(Replay(ReplayOptions(file=file, **options)))
        rows = [(n, t, k, v) for chunk in chunks for n, t, _, _, _, k, v in chunk.batch.to_pylist()]
        return rows, [refusal for chunk in chunks for refusal in chunk.refused]

    return run


T0 = parse_time("2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n2026-01-01 00:00:00,1\n", ","),
        ("a b;c d\n2026-01-01 00:00:00;1,5\n", ";"),
        ("a\tb\n1\t2,5\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('a,b\n"x;y",1\n"z;",2\n', ","),
        ("1 2  3\n4 5 6\n", "whitespace"),
        ("a,b\n1,2\n3\n4,5\n", ","),
        ("a\n1\n", ","),
        ("", ","),
    ],
)
def test_delimiters(text, delimiter):
    assert sniff(text) == delimiter


def test_one_column(replay):
    rows, refused = replay(
        "t,v\n2026-01-01 00:00:00,1\n2026-01-01 00:00:01.000000007,2.5\n", time="t", value="v", element="X"
    )
    assert rows == [("X", T0, Kind.FLOAT, 1.0), ("X", T0 + 1_000_000_007, Kind.FLOAT, 2.5)]
    assert refused == []


def test_all_other_columns(replay):
    rows, _ = replay("t;a;b\n2026-01-01T00:00:00Z;1,5;x\n", time="t", decimal=",", element="E.{column}")
    assert rows == [("E.a", T0, Kind.FLOAT, 1.5), ("E.b", T0, Kind.TEXT, "x")]


def test_a_long_table(replay):
    rows, _ = replay(
        "t,tag,v\n2026-01-01T00:00:00Z,P1,1\n2026-01-01T00:00:00Z,P2,2\n", time="t", value="v", element="plant/{tag}"
    )
    assert rows == [("plant/P1", T0, Kind.FLOAT, 1.0), ("plant/P2", T0, Kind.FLOAT, 2.0)]


@pytest.mark.parametrize(
    ("cell", "options", "time"),
    [
        ("2026-01-01 01:00:00+01:00", {}, T0),
        ("2026-01-01 0:00:00", {}, T0),
        ("2026-01-01", {}, T0),
        ("2026-01-01 01:00:00", {"time_zone": "Europe/Vienna"}, T0),
        ("01.01.2026 00:00:00", {"time_format": "%d.%m.%Y %H:%M:%S"}, T0),
        ("01/01/2026 00:00:00.250", {"time_format": "%d/%m/%Y %H:%M:%S.%f"}, T0 + 250_000_000),
        ("01/01/2026 01:00 +0100", {"time_format": "%d/%m/%Y %H:%M %z"}, T0),
        ("1767225600", {"time_unit": "1s"}, T0),
        ("1767225600.123456789", {"time_unit": "1s"}, T0 + 123_456_789),
        ("1767225600123.5", {"time_unit": "1ms"}, T0 + 123_500_000),
        ("1.5", {"time_unit": "1h", "time_start": "2026-01-01T00:00:00Z"}, T0 + 5400 * 10**9),
        ("-2", {"time_unit": "1s", "time_start": "2026-01-01T00:00:00Z"}, T0 - 2 * 10**9),
    ],
)
def test_times(replay, cell, options, time):
    assert replay(f"t,v\n{cell},1\n", time="t", element="X", **options)[0][0][1] == time


def test_a_time_in_two_columns_and_rows_without_one(replay):
    rows, _ = replay("d,c,v\n2026-01-01,00:00:01,1\n", time=["d", "c"], element="X")
    assert rows[0][1] == T0 + 10**9
    rows, _ = replay("5\n6\n", columns=["v"], time_unit="2s", element="X")
    assert [row[1] for row in rows] == [0, 2 * 10**9]


def test_bad_rows_are_refused_by_line_and_the_others_go_through(replay):
    text = "t,v\n1,1\n2\n\n3,x\n4,4,4\nsoon,5\n,6\n7,7\n"
    rows, refused = replay(text, time="t", time_unit="1s", element="X")
    assert [row[3] for row in rows] == [1.0, 7.0]
    assert [(line, reason) for line, reason in refused] == [
        (3, "1 fields instead of 2"),
        (5, "v = 'x' does not fit kind float"),
        (6, "3 fields instead of 2"),
        (7, "time 'soon' cannot be read"),
        (8, "no time"),
    ]


def test_a_bad_cell_does_not_take_the_row_with_it(replay):
    rows, refused = replay("t,a,b\n1,1,1\n2,x,2\n3,3,3\n", time="t", time_unit="1s")
    assert [row[3] for row in rows] == [1.0, 3.0, 1.0, 2.0, 3.0]
    assert [line for line, _ in refused] == [3]


def test_lines_are_counted_over_blocks(replay, monkeypatch):
    monkeypatch.setattr("archiver.sources.replay.text._BLOCK", 256)
    lines = [f"{n},{n}" for n in range(1000)]
    lines[400], lines[700] = "broken", "700,x"
    rows, refused = replay("t,v\n" + "\n".join(lines), time="t", time_unit="1s", element="X")
    assert len(rows) == 998
    assert [line for line, _ in refused] == [402, 702]


def test_missing_values_and_what_is_not_missing(replay):
    text = "t,v\n1,-200\n2,\n3,nan\n4,-200.0\n5,5\n"
    rows, _ = replay(text, time="t", time_unit="1s", element="X", missing="-200")
    assert [(row[2], str(row[3])) for row in rows] == [
        (Kind.NONE, "None"),
        (Kind.NONE, "None"),
        (Kind.FLOAT, "nan"),
        (Kind.NONE, "None"),
        (Kind.FLOAT, "5.0"),
    ]
    rows, _ = replay(text, time="t", time_unit="1s", element="X", missing="-200", skip_missing=True)
    assert [str(row[3]) for row in rows] == ["nan", "5.0"]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["true", "False"], Kind.BOOL, [True, False]),
        (["open", "closed", "7"], Kind.TEXT, ["open", "closed", "7"]),
        (['"a,b"', '""'], Kind.TEXT, ["a,b", ""]),
        (["1", str(2**63 - 1)], Kind.INT, [1, 2**63 - 1]),
        (["1", "2", "x"], Kind.FLOAT, [1.0, 2.0]),
        ([" 1 ", "1e3"], Kind.FLOAT, [1.0, 1000.0]),
    ],
)
def test_kinds_are_found_out(replay, cells, kind, values):
    text = "t,v\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells))
    rows, _ = replay(text, time="t", time_unit="1s", element="X")
    assert [row[2:] for row in rows] == [(kind, value) for value in values]


def test_kinds_are_obeyed(replay):
    big = 2**63 - 1
    rows, refused = replay(f"t,v\n1,{big}\n2,1.5\n", time="t", time_unit="1s", element="X", kind="int")
    assert rows == [("X", 10**9, Kind.INT, big)]
    assert refused == [(3, "v = '1.5' does not fit kind int")]


def test_what_a_float_does_not_hold_is_refused_instead_of_rounded(replay):
    rows, refused = replay(
        f"t,v\n0,0.5\n1,{2**53}\n2,{2**53 + 1}\n3,1e999\n4,inf\n", time="t", time_unit="1s", element="X"
    )
    assert [row[3] for row in rows] == [0.5, 2.0**53, float("inf")]
    assert [line for line, _ in refused] == [4, 5]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.csv.gz", "t,v\n1,7\n"),
        ("data.csv", "\ufefft,v\r\n1,7\r\n"),
        ("data.txt", "t  v\n 1    7  \n"),
        ("data.txt", "t v \r\n\t1\t7 \r\n"),
    ],
)
def test_compressed_and_oddly_written_files(replay, name, text):
    assert replay(text, name=name, time="t", time_unit="1s", element="X")[0] == [("X", 10**9, Kind.FLOAT, 7.0)]


def test_blanks_at_the_seams_of_blocks(replay, monkeypatch):
    monkeypatch.setattr("archiver.sources.replay.text._BLOCK", 64)
    text = "t   v\n" + "".join(f"{n}{' ' * (n % 7 + 1)}{n}{' ' * (n % 3)}\n" for n in range(500))
    rows, refused = replay(text, time="t", time_unit="1s", element="X")
    assert [row[3] for row in rows] == [float(n) for n in range(500)]
    assert refused == []


def test_latin1(replay):
    rows, _ = replay("t,°C\n1,7\n".encode("latin1"), time="t", time_unit="1s", encoding="latin1")
    assert rows[0][0] == "°C"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("t,v\n1,1\n", {"time": "time", "element": "X"}, "no column 'time'.*it has: t, v"),
        ("t,value\n1,1\n", {"time": "t", "value": "valu", "element": "X"}, "did you mean 'value'"),
        ("t,a,b\n1,1,1\n", {"time": "t", "element": "X"}, r"put \{column\} into the name"),
        ("t,v,v\n1,1,1\n", {"time": "t"}, "columns come twice: v"),
        (
            "t,v\nyesterday,1\n",
            {"time": "t", "element": "X"},
            "line 2: time 'yesterday' cannot be read; name the right",
        ),
        ("t\n1\n", {"time": "t"}, "no value column"),
        ("", {"time": "t"}, "has no lines"),
        (b"t,v\n1,\xff\n", {"time": "t", "element": "X"}, "check delimiter and encoding"),
    ],
)
def test_files_that_cannot_be_replayed(replay, text, options, message):
    with pytest.raises(InvalidInputError, match=message):
        replay(text, **options)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InvalidInputError, match="No such file"):
        Replay(ReplayOptions(file=tmp_path / "none.csv", time="t"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"time": "t", "value": ["a", "b"], "element": "X"},
        {"time": "t", "delimiter": "ab"},
        {"time": "t", "speed": -1},
    ],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(ValidationError):
        ReplayOptions(file="x.csv", **options)
