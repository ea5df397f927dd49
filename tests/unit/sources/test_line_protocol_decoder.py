"""Bodies to batches: names, times, status, refusals; on both paths."""

import threading

import numpy as np
import pytest

from archiver.config import LineProtocolRule
from archiver.model import InvalidInputError, Kind
from archiver.sources.line_protocol import Decoder, compiled, decode, decoder, table, warm_up

_SMALL = decoder.SMALL // len(b"m f=1 1\n")


def rows(body: str, **options):
    options = {"receive_time": 99, **options}
    decoded = decode(body.encode(), **options)
    assert decoded.refused == ()
    return [(name, time, kind, value) for name, time, _, _, _, kind, value in decoded.batch.to_pylist()]


def test_the_element_tag_names_the_element_and_its_fields():
    assert rows("any,element=T1,host=x value=1,alarm=t 5") == [
        ("T1", 5, Kind.FLOAT, 1.0),
        ("T1.alarm", 5, Kind.BOOL, True),
    ]


def test_without_it_measurement_field_and_sorted_tags_do():
    assert [row[0] for row in rows("cpu,host=b,cpu=cpu0 idle=1,user=2i 5")] == [
        "cpu.idle,cpu=cpu0,host=b",
        "cpu.user,cpu=cpu0,host=b",
    ]


def test_two_series_never_share_a_default_name():
    names = [row[0] for row in rows("m,a=1\\,b\\=2 f=1 5\nm,a=1,b=2 f=1 5")]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (LineProtocolRule(measurement="c*", element="{host}/{measurement}.{field}"), "h1/cpu.idle"),
        (LineProtocolRule(measurement="c*", tags={"host": "h?"}, element="X"), "X"),
        (LineProtocolRule(tags={"host": "z*"}, element="X"), "cpu.idle,host=h1"),
        (LineProtocolRule(tags={"rack": "*"}, element="X"), "cpu.idle,host=h1"),
        (LineProtocolRule(element="{rack}.{field}"), "cpu.idle,host=h1"),
        (LineProtocolRule(measurement="CPU", element="X"), "cpu.idle,host=h1"),
    ],
)
def test_rules(rule, name):
    assert rows("cpu,host=h1 idle=1 5", rules=[rule])[0][0] == name


def test_the_first_rule_that_matches_decides():
    rules = [
        LineProtocolRule(measurement="x", element="1"),
        LineProtocolRule(element="2"),
        LineProtocolRule(element="3"),
    ]
    assert rows("cpu idle=1 5", rules=rules)[0][0] == "2"


@pytest.mark.parametrize(("precision", "time"), [("ns", 7), ("us", 7000), ("ms", 7_000_000), ("s", 7 * 10**9), ("", 7)])
def test_precisions(precision, time):
    assert rows("m f=1 7", precision=precision)[0][1] == time


def test_an_unknown_precision_names_the_known_ones():
    with pytest.raises(InvalidInputError, match=r"'days'.*ns, us, ms or s"):
        decode(b"", precision="days", receive_time=0)


def test_a_line_without_timestamp_holds_when_it_was_received():
    assert rows("m f=1")[0][1] == 99


def test_an_integer_status_on_a_line_with_an_element_is_the_status_of_its_samples():
    batch = decode(b"m,element=A value=1,x=2,status=18446744073709551615u 5", receive_time=0).batch
    assert batch.status.tolist() == [2**64 - 1] * 2
    assert batch.present() == ["A", "A.x"]


def test_other_statuses_are_fields():
    assert rows('m,element=A status="ok" 5') == [("A.status", 5, Kind.TEXT, "ok")]
    assert rows("m status=3i 5") == [("m.status", 5, Kind.INT, 3)]


def test_a_status_alone_is_a_sample_without_a_value():
    batch = decode(b"m,element=A status=4i 5", receive_time=0).batch
    assert batch.to_pylist() == [("A", 5, 0, 0, 4, Kind.NONE, None)]


def test_refused_lines_have_number_text_and_reason_and_the_others_go_through():
    body = b'# comment\n\nm f=1 1\nm f=oops 2\n  \nm f="two\nlines" 3\nm,a=1,a=2 f=1 4\nm f=1 5\nm f="open\nm f=2 6'
    decoded = decode(body, receive_time=0)
    assert decoded.batch.source_time.tolist() == [1, 3, 5, 6]
    assert [(line, text) for line, text, _ in decoded.refused] == [
        (4, "m f=oops 2"),
        (8, "m,a=1,a=2 f=1 4"),
        (10, 'm f="open'),
    ]
    assert "'oops'" in decoded.refused[0].reason


def test_a_line_is_taken_whole_or_not_at_all():
    decoded = decode(b"m,element=A value=1,x=2,status=-1i 5", receive_time=0)
    assert decoded.batch.num_rows == 0
    assert "negative" in decoded.refused[0].reason


def test_a_long_refused_line_is_cut():
    refused = decode(b"x" * 10_000, receive_time=0).refused
    assert len(refused[0].text) == decoder.LONGEST_TEXT


def test_text_that_is_not_utf8_is_refused():
    assert "UTF-8" in decode(b'm f="\xff" 1', receive_time=0).refused[0].reason
    assert "UTF-8" in decode(b"m\xff f=1 1", receive_time=0).refused[0].reason


def test_a_memoryview_and_an_empty_body():
    assert decode(memoryview(b"m f=1 1"), receive_time=0).batch.num_rows == 1
    assert decode(b"", receive_time=0).batch.num_rows == 0


def test_the_dictionary_of_a_batch_holds_its_own_elements_only():
    shared = Decoder()
    shared.decode(b"m,element=A value=1 1\nm,element=B value=1 1", receive_time=0)
    assert shared.decode(b"m,element=B value=2 2", receive_time=0).batch.elements == ["B"]


def test_a_full_table_starts_anew(monkeypatch):
    monkeypatch.setattr(table, "LARGEST", 10)
    shared = Decoder()
    for number in range(50):
        batch = shared.decode(f"m,element=E{number} value={number} 1".encode(), receive_time=0).batch
        assert batch.to_pylist()[0][0] == f"E{number}"


@pytest.fixture
def compiled_path():
    if not warm_up(wait=True):
        pytest.skip("numba is not installed")


@pytest.mark.usefixtures("compiled_path")
def test_plain_lines_of_known_series_never_reach_the_plain_path(monkeypatch):
    rng = np.random.default_rng(0)
    lines = [f"m,element=E{n % 3000} value={v!r} {n}" for n, v in enumerate(rng.normal(0, 100, 6000).tolist())]
    lines += [f"m,element=E{n} value={n}i,status={n}i,b=true 1" for n in range(10)]
    body = "\n".join(line for line in lines if "e-" not in line).encode()
    shared = Decoder()
    first = shared.decode(body, receive_time=0)
    monkeypatch.setattr(decoder, "parse_line", None)
    assert shared.decode(body, receive_time=0).batch == first.batch


@pytest.mark.usefixtures("compiled_path")
def test_a_decoder_may_be_shared_between_threads():
    shared = Decoder()
    bodies = ["\n".join(f"m,element=T{t}E{n} value={n} {n}" for n in range(2000)).encode() for t in range(4)]
    results = {}
    threads = [
        threading.Thread(target=lambda t=t: results.update({t: shared.decode(bodies[t], receive_time=0).batch}))
        for t in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, batch in results.items():
        assert batch == decode(bodies[number], receive_time=0).batch


def test_samples_of_few_bytes_find_room_on_both_paths():
    warm_up(wait=True)
    names = [f"f{number}" for number in range(40)]
    body = ("m " + ",".join(f"{name}=1" for name in names) + " 5\n").encode() * 50
    shared = Decoder()
    for _ in range(3):  # the first time line by line, then compiled
        batch = shared.decode(body, receive_time=0).batch
        assert batch.num_rows == 50 * 40
        assert batch.elements == [f"m.{name}" for name in names]
        assert batch.codes.tolist() == list(range(40)) * 50


def test_bodies_of_the_same_elements_share_the_list_of_their_names():
    shared = Decoder()
    first, again = (shared.decode(b"m f=1 1\nm g=1 1", receive_time=0).batch for _ in range(2))
    assert first.elements is again.elements
    fewer = shared.decode(b"m g=1 1", receive_time=0).batch
    assert fewer.elements == fewer.column("element").dictionary.to_pylist() == ["m.g"]


def test_small_bodies_do_not_wake_the_compiler(monkeypatch):
    loader = compiled._Loader()
    monkeypatch.setattr(compiled, "_loader", loader)
    decode(b"m f=1 1\n" * _SMALL, receive_time=0)
    assert loader._thread is None


def test_without_numba_the_plain_path_does_it_all(monkeypatch):
    loader = compiled._Loader()
    monkeypatch.setattr(compiled, "_loader", loader)
    monkeypatch.setattr(compiled, "Walker", _no_numba)
    assert not warm_up(wait=True)
    assert decode(b"m f=1 1\n" * 2 * _SMALL, receive_time=0).batch.num_rows == 2 * _SMALL


def _no_numba():
    raise ImportError("No module named 'numba'")
