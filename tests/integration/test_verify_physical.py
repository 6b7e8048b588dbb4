"""Base backups with their WAL: recovered to the position that was promised, or noticed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.scratch.verification import Wanted, verify_physical
from domain.backup import Manifest, Question, VerdictStatus
from domain.expectations import read_suites
from tests.backup_source import INVARIANTS, write_suites
from tests.physical_source import ArchivingSource, lose_segment, promise, run_archiving_source


@pytest.fixture(scope="module")
def archiving() -> Iterator[ArchivingSource]:
    """A server of these tests' own that archives."""
    with run_archiving_source(3000) as source:
        yield source


def want(source: ArchivingSource, manifest: Manifest) -> Wanted:
    """All that there is to hold it against."""
    suites = read_suites(json.dumps(write_suites(source.source.now)), "suites")
    return Wanted(manifest=manifest, suites=suites, invariants=INVARIANTS)


def test_a_sound_base_backup_passes(archiving: ArchivingSource, tmp_path: Path) -> None:
    """With all five questions, up to the last sentinel; its archive is left alone, and nothing stays."""
    backup, manifest = archiving.take("sound")
    archived = {path.name for path in archiving.archive.iterdir()}
    verdict = verify_physical(backup, want(archiving, manifest), tmp_path / "scratch", archiving.source.server.binaries)
    assert verdict.status == VerdictStatus.PASSED, verdict.to_json()
    assert all(found.passed for found in verdict.questions.values())
    assert verdict.recovery_point_at == manifest.sentinels[-1].at
    assert {path.name for path in archiving.archive.iterdir()} == archived
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize("place", [-2, -1], ids=["middle", "end"])
def test_a_missing_segment_is_noticed(archiving: ArchivingSource, tmp_path: Path, place: int) -> None:
    """Though the backup is sealed again: what could not be asked any more is said, too."""
    backup, manifest = archiving.take(f"missing{place}")
    damaged, sha256 = lose_segment(backup, tmp_path, place)
    wanted = want(archiving, promise(manifest, sha256))
    verdict = verify_physical(damaged, wanted, tmp_path / "scratch", archiving.source.server.binaries)
    assert verdict.status == VerdictStatus.FAILED
    assert verdict.questions[Question.FILE].passed is True
    assert verdict.questions[Question.ENGINE].passed is False
    assert "recovery target" in str(verdict.questions[Question.ENGINE].faults)
    assert verdict.questions[Question.SENTINELS].unasked


def test_a_bit_flip_in_a_page_is_noticed(archiving: ArchivingSource, tmp_path: Path) -> None:
    """By pg_verifybackup, where nobody kept a checksum of the whole."""
    backup, manifest = archiving.take("flipped")
    page = max((backup.base / "base").rglob("[0-9]*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    content = bytearray(page.read_bytes())
    content[len(content) // 2] ^= 0x10
    page.write_bytes(content)
    wanted = Wanted(manifest=manifest.model_copy(update={"sha256": None, "tables": {}}))
    verdict = verify_physical(backup, wanted, tmp_path / "scratch", archiving.source.server.binaries)
    assert verdict.questions[Question.ENGINE].passed is False
    assert "checksum mismatch" in str(verdict.questions[Question.ENGINE].faults)
