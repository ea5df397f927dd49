"""The Delta log of one table: which files it has, and the journal position committed with them.

Commits go through `deltalake`, which syncs nothing, so the log is synced here; the last commit may still be torn by
a power cut, and is then rolled back at `open`: its app transaction goes with it, and the journal writes it again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake.transaction import AddAction, RemoveAction

from archiver.backends.parquet.entry import FileEntry
from archiver.backends.parquet.schema import PARTITION_COLUMNS, TABLE_SCHEMA
from archiver.model import TransientError, disk
from archiver.model.time import now
from archiver.ports import Position

_ACTIONS = "forebay.actions"
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_SETTINGS = {
    "delta.logRetentionDuration": "interval 1 days",
    "delta.enableExpiredLogCleanup": "true",
    "delta.dataSkippingStatsColumns": "source_time",  # statistics of all columns make a commit half as fast
}
_CHECKPOINT_EVERY = 16
"""A commit takes 0.1 ms more for every entry since the last checkpoint: with one this often it stays below 5 ms."""
_MAGIC = b"PAR1"

Partition = dict[str, str]


@dataclass
class Commit:
    """What one entry of the log says."""

    added: dict[str, Partition] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    offsets: dict[str, int] = field(default_factory=dict)


class DeltaLog:
    """The log of a table; one writer, or a reader that follows it.

    Parameters
    ----------
    root : Path
        The table.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, Partition] = {}
        self._folder = root / "_delta_log"
        self._schema = Schema.from_arrow(TABLE_SCHEMA)
        self._table: DeltaTable | None = None
        self._version = -1
        self._checkpointed = 0
        self._offsets: dict[str, int] = {}
        self._token: tuple[int, int] | None = None

    # -- opening --------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the table if there is none; takes back what a power cut left half done. For the writer only."""
        disk.make_folder(self._folder)
        self._repair()
        if self._last_intact() < 0:
            DeltaTable.create(
                str(self.root), self._schema, partition_by=PARTITION_COLUMNS, configuration=dict(_SETTINGS)
            )
            self._sync(0)

    def load(self) -> None:
        """Read the whole log; an absent table is an empty one."""
        last = self._last_intact()
        self.files, self._offsets, self._version = {}, {}, last
        if last < 0:
            self._table = None
            return
        self._table = DeltaTable(str(self.root), version=last)
        actions = pa.table(self._table.get_add_actions(flatten=True))
        columns = {name: actions.column(f"partition.{name}").cast(pa.utf8()).to_pylist() for name in PARTITION_COLUMNS}
        for index, path in enumerate(actions.column("path").to_pylist()):
            self.files[path] = {name: values[index] for name, values in columns.items()}
        self._token = self._token_of(last)

    def refresh(self) -> bool:
        """Follow what another process has committed; return whether there was anything."""
        if self._version < 0 or self._token_of(self._version) != self._token:
            before = self._version, self._token
            self.load()
            return before != (self._version, self._token)
        start = self._version
        while (commit := self._read(self._version + 1)) is not None:
            self._apply(commit)
        return self._version != start

    def offset(self, stream: str) -> int | None:
        """Return the offset committed for a stream."""
        if stream not in self._offsets and self._table is not None:
            stored = self._table.transaction_version(stream)
            if stored is None:
                return None
            self._offsets[stream] = stored
        return self._offsets.get(stream)

    # -- committing -----------------------------------------------------------------------------------

    def commit(
        self, added: Sequence[FileEntry], removed: Sequence[FileEntry] = (), position: Position | None = None
    ) -> None:
        """Put files in and out of the table, and the position with them, at once; return when that is durable.

        Samples are neither added nor lost when `removed` is given together with `added`: that is a compaction.

        Raises
        ------
        TransientError
            Somebody else has committed: what this writer knows of the table is no longer true, until it is opened anew.
        """
        version = self._version + 1
        if self._path(version).exists():
            raise TransientError(
                f"{self.root}: commit {version} was made by another writer, in spite of the lock; "
                "stop that one and restart this process"
            )
        if self._version - self._checkpointed >= _CHECKPOINT_EVERY:
            self.checkpoint()
        assert self._table is not None
        moved = bool(added and removed)
        actions: list[AddAction | RemoveAction] = [_add(entry, not moved) for entry in added]
        actions += [_remove(entry, not moved) for entry in removed]
        transactions = [Transaction(position.stream, position.offset, now() // 1_000_000)] if position else []
        properties = CommitProperties(
            custom_metadata={_ACTIONS: len(actions) + len(transactions)}, app_transactions=transactions
        )
        try:
            self._table.create_write_transaction(
                actions,
                "append",
                self._schema,
                PARTITION_COLUMNS,
                commit_properties=properties,
                post_commithook_properties=_NO_HOOKS,
            )
            self._sync(version)
            self._table.update_incremental()
        except BaseException:
            self._take_back(version)
            raise
        commit = Commit({e.path: _text(e) for e in added}, {}, {e.path for e in removed})
        if position:
            commit.offsets[position.stream] = position.offset
        self._apply(commit)

    def checkpoint(self) -> None:
        """Sum the log up in a checkpoint, so that opening and committing stay quick."""
        assert self._table is not None
        self._table.create_checkpoint()
        for path in self._folder.glob(f"{self._version:020d}.checkpoint*.parquet"):
            disk.sync(path)
        disk.sync(self._folder / "_last_checkpoint")
        disk.sync(self._folder)
        self._table = DeltaTable(str(self.root))
        self._checkpointed = self._version

    def forget_history(self) -> None:
        """Remove entries of more than a day ago that a checkpoint covers."""
        self.checkpoint()  # synced first: what is removed is nowhere but in it
        assert self._table is not None
        self._table.cleanup_metadata()

    def _apply(self, commit: Commit) -> None:
        files = {path: partition for path, partition in self.files.items() if path not in commit.removed}
        self.files = files | commit.added
        self._offsets.update(commit.offsets)
        self._version += 1
        self._token = self._token_of(self._version)

    def _sync(self, version: int) -> None:
        disk.sync(self._path(version))
        disk.sync(self._folder)

    def _take_back(self, version: int) -> None:
        """Undo a commit that may or may not have got into the log; this process is the only writer."""
        self._path(version).unlink(missing_ok=True)
        disk.sync(self._folder)
        self._table = DeltaTable(str(self.root))

    # -- looking at single entries ----------------------------------------------------------------------

    def _path(self, version: int) -> Path:
        return self._folder / f"{version:020d}.json"

    def _token_of(self, version: int) -> tuple[int, int] | None:
        """Return what tells one file of this version from another one written later under the same number."""
        try:
            stat = self._path(version).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def _versions(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.json") if path.stem.isdigit())

    def _last_intact(self) -> int:
        """Return the last version that is complete and whose files are; -1 when there is none."""
        for version in reversed(self._versions()):
            commit = self._read(version)
            if commit is not None and all(_whole(self.root / path, size) for path, size in commit.sizes.items()):
                return version
        return -1

    def _repair(self) -> None:
        last = self._last_intact()
        torn = [self._path(version) for version in self._versions() if version > last]
        checkpoints = self._folder.glob("*.checkpoint*.parquet")
        torn += [p for p in checkpoints if int(p.name.partition(".")[0]) > last or not _readable(p)]
        pointer = self._folder / "_last_checkpoint"
        if pointer.exists() and (_parsed(pointer) is None or any("checkpoint" in path.name for path in torn)):
            torn.append(pointer)
        torn += self._folder.glob("_commit_*")
        for path in torn:
            path.unlink(missing_ok=True)
        if torn:
            disk.sync(self._folder)

    def _read(self, version: int) -> Commit | None:
        """Return an entry of the log, or None when it is missing or torn."""
        actions = _parsed(self._path(version))
        if not actions:
            return None
        commit, count, expected = Commit(), 0, None
        for action in actions:
            if "add" in action:
                path = action["add"]["path"]
                commit.added[path] = action["add"]["partitionValues"]
                commit.sizes[path] = action["add"]["size"]
            elif "remove" in action:
                commit.removed.add(action["remove"]["path"])
            elif "txn" in action:
                commit.offsets[action["txn"]["appId"]] = action["txn"]["version"]
            elif "commitInfo" in action:
                expected = action["commitInfo"].get(_ACTIONS)
            count += not action.keys() & {"commitInfo", "protocol", "metaData"}
        return commit if expected is None or count == expected else None


def _add(entry: FileEntry, data_change: bool) -> AddAction:
    times = {"source_time": entry.first}, {"source_time": entry.last}
    stats = {"numRecords": entry.rows, "minValues": times[0], "maxValues": times[1], "nullCount": {"source_time": 0}}
    return AddAction(
        path=entry.path,
        size=entry.size,
        partition_values=entry.cell.partition,
        modification_time=now() // 1_000_000,
        data_change=data_change,
        stats=json.dumps(stats),
    )


def _remove(entry: FileEntry, data_change: bool) -> RemoveAction:
    return RemoveAction(entry.path, data_change, now() // 1_000_000, entry.size, dict(entry.cell.partition))


def _text(entry: FileEntry) -> Partition:
    return {name: str(value) for name, value in entry.cell.partition.items()}


def _parsed(path: Path) -> list[Any] | None:
    """Return the JSON values of a file, one a line; None when it is missing or torn."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, ValueError):
        return None


def _readable(checkpoint: Path) -> bool:
    try:
        pq.read_metadata(checkpoint)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


def _whole(path: Path, size: int) -> bool:
    """Whether a data file is there, has its size and ends as a Parquet file does."""
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            file.seek(-len(_MAGIC), 2)
            return file.read() == _MAGIC
    except OSError:
        return False
