"""Fifty sound backups pass; the thirteen corruptions are caught, and the page says by which question.

`make prove PIPELINE=backup` writes docs/proofs/backup.md.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.ledger import RunRow
from blocks.postgres_binaries import find_postgres_binaries
from blocks.scratch.verification import Wanted, verify_dump, verify_physical
from domain.backup import BackupVerdict, Manifest, Question, VerdictStatus, decide_verdict
from domain.expectations import read_suites
from tests.backup_faults import CORRUPTIONS, Corruption, hash_file
from tests.backup_source import INVARIANTS, Source, create_source, write_suites
from tests.backup_world import STEPS, BackedUp, make_backed_up
from tests.flow_world import World
from tests.physical_source import ArchivingSource, lose_segment, promise, run_archiving_source
from tests.postgres_server import PostgresServer
from tests.proofs.page import Page

pytestmark = pytest.mark.timeout(3600)
ROWS = 20_000
FORMATS = ("custom", "tar", "directory", "plain")
LOGICAL, PHYSICAL = 40, 10
ABOUT = (
    "Backups of a seeded example (`tests/backup_source.py`), restored into scratch servers and asked five questions. A "
    "corruption is made as it happens in life (`tests/backup_faults.py`); all but bit flip and truncation are sealed "
    "again, and no row hash is given where something else can notice it. In the table: whether the question notices it "
    "when it is asked alone."
)
PROGRAMS = find_postgres_binaries()
SOUND_LOGICAL = f"{LOGICAL} sound dumps, {LOGICAL // len(FORMATS)} each in {', '.join(FORMATS)}"
SOUND_PHYSICAL = f"{PHYSICAL} sound base backups with WAL, recovered to a promised position"
KILLED = "SIGKILL at every step of taking and verifying a base backup, before and after its effect, and amid its upload"
MISSING_WAL = {"missing WAL segment in the middle": -2, "missing WAL segment at the end": -1}
CLAIMS = (
    SOUND_LOGICAL,
    SOUND_PHYSICAL,
    KILLED,
    *(f"corruption: {name}" for name in (*(one.name for one in CORRUPTIONS), *MISSING_WAL)),
)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """The proof's page, written when every claim of this file held."""
    page = Page("backup", ABOUT)
    yield page
    if page.has(CLAIMS):
        page.write()


@pytest.fixture(scope="module")
def source(postgres: PostgresServer) -> Iterator[Source]:
    """A sound database for the logical backups."""
    source = create_source(postgres, ROWS)
    yield source
    source.drop()


@pytest.fixture(scope="module")
def archiving() -> Iterator[ArchivingSource]:
    """A server with an archive for the physical ones."""
    with run_archiving_source(ROWS) as source:
        yield source


def want(source: Source, manifest: Manifest) -> Wanted:
    """What its team holds a backup against."""
    suites = read_suites(json.dumps(write_suites(source.now)), "suites")
    return Wanted(manifest=manifest, suites=suites, invariants=INVARIANTS)


def test_sound_logical_backups_pass(postgres: PostgresServer, tmp_path: Path, page: Page) -> None:
    """Forty, ten in each format, each of other data."""
    seconds = []
    for number in range(LOGICAL):
        source = create_source(postgres, ROWS, seed=str(number))
        try:
            file = source.dump(tmp_path / f"dump{number}", FORMATS[number % len(FORMATS)])
            manifest = source.describe(None if file.is_dir() else hash_file(file))
            verdict = verify_dump(file, want(source, manifest), tmp_path / "scratch", PROGRAMS)
        finally:
            source.drop()
        assert verdict.status == VerdictStatus.PASSED, verdict.to_json()
        seconds.append(verdict.restore_seconds or 0)
    page.add(SOUND_LOGICAL, f"{LOGICAL} passed; restored in {min(seconds):.1f} to {max(seconds):.1f} s")


def test_sound_physical_backups_pass(archiving: ArchivingSource, tmp_path: Path, page: Page) -> None:
    """Ten base backups with their WAL, each later than the one before."""
    for number in range(PHYSICAL):
        backup, manifest = archiving.take(f"sound{number}")
        verdict = verify_physical(backup, want(archiving.source, manifest), tmp_path / "scratch", PROGRAMS)
        assert verdict.status == VerdictStatus.PASSED, verdict.to_json()
        assert all(found.passed for found in verdict.questions.values())
    page.add(SOUND_PHYSICAL, f"{PHYSICAL} passed")


def tell(corruption: str, verdict: BackupVerdict, page: Page) -> None:
    """A row of the table: each question asked alone, and the whole verdict without those that noticed."""
    alone = {
        question: decide_verdict({question: found}, None).status == VerdictStatus.FAILED
        for question, found in verdict.questions.items()
    }
    words = ", ".join(f"{question} {'**yes**' if noticed else 'no'}" for question, noticed in alone.items())
    noticed = [question for question, has_noticed in alone.items() if has_noticed]
    assert noticed, f"{corruption} went through: {verdict.to_json()}"
    rest = {question: found for question, found in verdict.questions.items() if question not in noticed}
    assert decide_verdict(rest, None).status in (VerdictStatus.PASSED, VerdictStatus.INCOMPLETE), "it is let through"
    page.add(f"corruption: {corruption}", f"caught; {words}")


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_a_logical_corruption_is_caught(source: Source, tmp_path: Path, page: Page, corruption: Corruption) -> None:
    """By the questions that are made for it."""
    damaged = corruption.make(source, tmp_path)
    verdict = verify_dump(damaged.file, want(source, damaged.manifest), tmp_path / "scratch", PROGRAMS)
    assert verdict.status == VerdictStatus.FAILED
    assert all(verdict.questions[question].passed is False for question in corruption.noticed_by), verdict.to_json()
    tell(corruption.name, verdict, page)


@pytest.mark.parametrize(("name", "place"), MISSING_WAL.items())
def test_a_missing_wal_segment_is_caught(
    archiving: ArchivingSource, tmp_path: Path, page: Page, name: str, place: int
) -> None:
    """Sealed again, without row hashes: the server does not come to the position that was promised."""
    backup, manifest = archiving.take(f"missing{place}")
    damaged, sha256 = lose_segment(backup, tmp_path, place)
    wanted = want(archiving.source, promise(manifest, sha256))
    verdict = verify_physical(damaged, wanted, tmp_path / "scratch", PROGRAMS)
    assert verdict.status == VerdictStatus.FAILED
    assert verdict.questions[Question.FILE].passed is True
    assert verdict.questions[Question.ENGINE].passed is False
    tell(name, verdict, page)


def test_killed_flows_leave_nothing(world: World, page: Page) -> None:
    """SIGKILL at each step of both flows over base backups, before and after its effect, and amid barman's upload."""
    shown = []
    with make_backed_up(world, "t-killed") as backed_up:
        for word, steps in STEPS.items():
            for step in steps:
                for moment in ("begin", "end"):
                    assert backed_up.run("backup").status == "succeeded"
                    kill_and_check(backed_up, word, backed_up.kill_at(word, step, moment))
                    shown.append(f"{word} {step} {moment}")
        kill_and_check(backed_up, "backup", backed_up.kill_amid_upload())
    page.add(
        KILLED,
        f"{len(shown) + 1} cells; every backup on record was whole, nothing else was left, and the next run succeeded",
    )


def kill_and_check(backed_up: BackedUp, word: str, run: RunRow) -> None:
    """Swept, nothing is left of it; the next run converges."""
    assert run.status in ("crashed", "succeeded"), run.error
    backed_up.check(run)
    again = backed_up.run(word)
    assert again.status == "succeeded", again.error
    backed_up.check(again)
