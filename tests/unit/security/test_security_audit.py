"""The audit log: every change to what was written is found, whoever wrote and however the files are cut."""

import json
import multiprocessing
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import PermanentError, TransientError
from archiver.security import AuditLog, Caller, Principal, verify
from archiver.security.chain import FIRST, HEAD, records_of

SOMEBODY = Caller(Principal.of("key:ops", []), "10.0.0.7", "r1")


def filled(directory, count=12, largest=1500):
    log = AuditLog(directory, largest)
    for number in range(count):
        log.record(SOMEBODY, "copy", number=number)
    return log


def files(directory):
    return sorted((directory / "audit").glob("*.jsonl"))


def lines_of(directory):
    return [(file, line) for file in files(directory) for line in file.read_bytes().splitlines(keepends=True)]


def write_back(lines):
    for file in {file for file, _ in lines}:
        file.write_bytes(b"".join(line for owner, line in lines if owner == file))


def test_a_record_says_who_what_from_where_and_what_came_of_it(tmp_path):
    AuditLog(tmp_path).record(SOMEBODY, "copy", "failed: no such backend", source="lake")
    (record,) = records_of(tmp_path)
    assert {name: record[name] for name in ("number", "actor", "origin", "request", "action", "what", "result")} == {
        "number": 1,
        "actor": "key:ops",
        "origin": "10.0.0.7",
        "request": "r1",
        "action": "copy",
        "what": {"source": "lake"},
        "result": "failed: no such backend",
    }
    assert record["previous"] == FIRST


def test_a_change_is_recorded_before_and_after(tmp_path):
    log = AuditLog(tmp_path)
    with log.change(SOMEBODY, "copy"):
        assert [record["result"] for record in records_of(tmp_path)] == ["begun"]
    with pytest.raises(PermanentError), log.change(SOMEBODY, "repair"):
        raise PermanentError("it is broken")
    assert [(r["action"], r["result"]) for r in records_of(tmp_path)] == [
        *(("copy", "begun"), ("copy", "done")),
        *(("repair", "begun"), ("repair", "failed: it is broken")),
    ]


def test_the_chain_goes_on_over_files_and_restarts(tmp_path):
    filled(tmp_path)
    filled(tmp_path)
    assert len(files(tmp_path)) > 2
    verdict = verify(tmp_path)
    assert (verdict.records, verdict.faults) == (24, ())


def test_files_are_private(tmp_path):
    filled(tmp_path)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "audit").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700


def _append(directory, count):
    log = AuditLog(directory, 5000)
    for number in range(count):
        log.record(SOMEBODY, "copy", number=number)


def test_processes_append_to_one_chain(tmp_path):
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_append, args=(tmp_path, 20)) for _ in range(2)]
    for other in others:
        other.start()
    _append(tmp_path, 20)
    for other in others:
        other.join()
        assert other.exitcode == 0
    verdict = verify(tmp_path)
    assert (verdict.records, verdict.faults) == (60, ())


@given(st.data())
def test_any_changed_record_is_found(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("audit")
    filled(directory, 8)
    lines = lines_of(directory)
    index = data.draw(st.integers(0, len(lines) - 1))
    record = json.loads(lines[index][1])
    name = data.draw(st.sampled_from(sorted(record)))
    record[name] = record[name] + 1 if isinstance(record[name], int) else "else"
    lines[index] = (lines[index][0], json.dumps(record).encode() + b"\n")
    write_back(lines)
    assert verify(directory).faults


@given(st.integers(0, 7))
def test_any_removed_record_is_found(tmp_path_factory, index):
    directory = tmp_path_factory.mktemp("audit")
    filled(directory, 8)
    lines = lines_of(directory)
    owner = lines[index][0]
    del lines[index]
    write_back(lines)
    if owner not in {file for file, _ in lines}:
        owner.unlink()
    assert verify(directory).faults


@given(st.integers(0, 7), st.integers(0, 7))
def test_records_that_changed_places_are_found(tmp_path_factory, one, other):
    directory = tmp_path_factory.mktemp("audit")
    filled(directory, 8)
    lines = lines_of(directory)
    lines[one], lines[other] = (lines[one][0], lines[other][1]), (lines[other][0], lines[one][1])
    write_back(lines)
    assert bool(verify(directory).faults) == (one != other)


def test_a_removed_file_is_found(tmp_path):
    filled(tmp_path)
    files(tmp_path)[1].unlink()
    assert "removed" in verify(tmp_path).faults[0].what


def test_an_end_that_was_removed_with_its_head_is_found_by_a_hash_kept_elsewhere(tmp_path):
    filled(tmp_path, 5, largest=10**6)
    kept = verify(tmp_path).head
    (file,) = files(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3]))
    assert "the end was removed" in verify(tmp_path).faults[0].what
    third = json.loads(lines[2])
    (tmp_path / "audit" / HEAD).write_text(json.dumps({"number": 3, "hash": third["hash"]}))
    assert verify(tmp_path).faults == ()  # whoever can write there can do this
    assert verify(tmp_path, kept).faults


def test_a_record_that_was_half_written_was_never_there(tmp_path):
    filled(tmp_path, 3, largest=10**6)
    (file,) = files(tmp_path)
    with file.open("ab") as end:
        end.write(b'{"number": 4, "ti')
    filled(tmp_path, 2, largest=10**6)
    verdict = verify(tmp_path)
    assert (verdict.records, verdict.faults) == (5, ())


def test_a_power_cut_between_record_and_head_is_no_fault(tmp_path):
    log = filled(tmp_path, 3)
    head = (tmp_path / "audit" / HEAD).read_bytes()
    log.record(SOMEBODY, "copy")
    (tmp_path / "audit" / HEAD).write_bytes(head)
    assert verify(tmp_path).faults == ()


def test_nothing_is_appended_to_a_log_that_is_broken_at_its_end(tmp_path):
    filled(tmp_path, 3, largest=10**6)
    (file,) = files(tmp_path)
    with file.open("ab") as end:
        end.write(b"not a record\n")
    with pytest.raises(PermanentError, match="audit verify"):
        AuditLog(tmp_path).record(SOMEBODY, "copy")


def test_what_cannot_be_recorded_is_not_done(tmp_path):
    (tmp_path / "audit").write_text("a file in its place")
    done = []
    with pytest.raises(TransientError, match="nothing is done"), AuditLog(tmp_path).change(SOMEBODY, "copy"):
        done.append("copy")
    assert done == []


def test_what_somebody_sends_does_not_make_a_record_too_long_to_be_found_again(tmp_path):
    flood = {"text": "x" * 10**6, "names": ["y" * 10**4] * 10**3, "nested": {"z": ["w" * 10**5] * 100}}
    AuditLog(tmp_path).record(SOMEBODY, "describe", "failed: " + "v" * 10**6, **flood)
    AuditLog(tmp_path).record(SOMEBODY, "describe")
    assert verify(tmp_path).faults == ()
    assert max(len(line) for _, line in lines_of(tmp_path)) < 100_000
