"""The thirteen corruptions of a backup, each made as it happens in life: in the source before its dump, or in the file.

All but bit flip and truncation are sealed again: what checksum there is is right. A manifest with row hashes is given
only where nothing else could notice; the sentinels are promised by whoever wrote them, not by the backup.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from domain.backup import Manifest, Question
from tests.backup_source import Source, create_source

MOJIBAKE = "UPDATE author SET name = convert_from(convert_to(name, 'UTF8'), 'LATIN1')"


@dataclass(frozen=True)
class Damaged:
    """A damaged dump and the manifest that it comes with."""

    file: Path
    manifest: Manifest


@dataclass(frozen=True)
class Corruption:
    """One way to damage a logical backup, and the questions that are to notice it, each for itself."""

    name: str
    make: Callable[[Source, Path], Damaged]
    noticed_by: frozenset[Question]


def hash_file(path: Path) -> str:
    """As sha256sum."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _flip(place: float) -> Callable[[Source, Path], Damaged]:
    def make(source: Source, folder: Path) -> Damaged:
        file = source.dump(folder / "flipped.dump")
        sealed = hash_file(file)
        content = bytearray(file.read_bytes())
        content[int(len(content) * place)] ^= 0x10
        file.write_bytes(content)
        return Damaged(file, Manifest(sha256=sealed))

    return make


def _truncate(source: Source, folder: Path) -> Damaged:
    file = source.dump(folder / "truncated.dump")
    sealed = hash_file(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    return Damaged(file, Manifest(sha256=sealed))


def _change(*statements: str, has_hashes: bool = False) -> Callable[[Source, Path], Damaged]:
    """Statements in a copy of the source, which is then dumped as if nothing were."""

    def make(source: Source, folder: Path) -> Damaged:
        sound, copy = source.describe(), source.copy()
        try:
            for statement in statements:
                copy.execute(statement)
            file = copy.dump(folder / "changed.dump")
        finally:
            copy.drop()
        promised = sound if has_hashes else Manifest(sentinels=sound.sentinels)
        return Damaged(file, promised.model_copy(update={"sha256": hash_file(file)}))

    return make


def _swap(source: Source, folder: Path) -> Damaged:
    """Another site's database under this one's name."""
    other = create_source(source.server, 600, seed="other", now=source.now)
    try:
        other.execute("UPDATE site SET name = 'otherblog'")
        other.execute("UPDATE sentinel SET id = id + 1000")
        file = other.dump(folder / "other.dump")
    finally:
        other.drop()
    return Damaged(file, Manifest(sentinels=source.describe().sentinels, sha256=hash_file(file)))


def _of(*questions: Question) -> frozenset[Question]:
    return frozenset(questions)


FILE, ENGINE, DATA = Question.FILE, Question.ENGINE, Question.DATA
INVARIANTS, SENTINELS = Question.INVARIANTS, Question.SENTINELS
#: Hours, of which the last two never made it into the backup.
STALE = (
    "DELETE FROM sentinel WHERE written_at > (SELECT max(written_at) FROM post) - interval '2 hours'",
    "UPDATE post SET written_at = written_at - interval '2 hours'",
)
CORRUPTIONS = (
    Corruption("bit flip, early", _flip(0.3), _of(FILE, ENGINE)),
    Corruption("bit flip, late", _flip(0.9), _of(FILE, ENGINE)),
    Corruption("truncation", _truncate, _of(FILE, ENGINE)),
    Corruption("wrong database", _swap, _of(DATA, SENTINELS)),
    Corruption("silently stale", _change(*STALE), _of(DATA, SENTINELS)),
    Corruption("empty table", _change("TRUNCATE post"), _of(DATA)),
    Corruption(
        "one row changed",
        _change("UPDATE booking SET place = 'Roter Platz' WHERE id = 42", has_hashes=True),
        _of(DATA),
    ),
    Corruption("one row missing", _change("DELETE FROM post WHERE id = 42", has_hashes=True), _of(DATA)),
    Corruption(
        "orphaned rows",
        _change("ALTER TABLE post DROP CONSTRAINT post_author_id_fkey", "DELETE FROM author WHERE id = 3"),
        _of(DATA),
    ),
    Corruption(
        "half of a tenant missing", _change("DELETE FROM booking WHERE tenant_id = 3 AND id % 2 = 0"), _of(INVARIANTS)
    ),
    Corruption("shifted encoding", _change(MOJIBAKE), _of(DATA)),
    Corruption("sentinel missing", _change("DELETE FROM sentinel WHERE id = 10"), _of(SENTINELS)),
)
