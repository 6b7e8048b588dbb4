"""What a run does about backups, and how it is told."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from blocks.environment_files import read_declared
from domain.backup import Answer, Manifest, Question, Sentinel, TableContent, answer, decide_verdict
from domain.backup_plan import (
    decide_take,
    decide_verification,
    name_backup,
    name_folder,
    read_invariants,
    read_retention,
    read_suites,
)
from domain.backup_report import render_backup, render_verdict
from domain.backup_upkeep import Alarm, Kind, KnownBackup, Trend
from domain.errors import RefusedError
from domain.spec import EnvironmentSpec
from domain.step import Undo

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KINDS: tuple[Kind, ...] = ("logical", "physical")
PAIR, RDS, NONE = (read_declared(name)[1] for name in ("dev", "production", "sandbox"))


def names(plan: object) -> list[str]:
    """The steps of a plan."""
    return [step.name for step in plan.steps]  # type: ignore[attr-defined] # every plan has steps


def test_a_backup_is_named_by_its_time() -> None:
    """So that ids are in the order of time, and its objects are below one folder."""
    assert name_backup("dev", NOON) == "dev-20261124T120000Z"
    assert name_folder("dev", "dev-20261124T120000Z") == "backups/dev/dev-20261124T120000Z"


def test_a_backup_is_taken_and_old_ones_are_let_go() -> None:
    """Only those that the file's retention no longer keeps, now that there is a newer one."""
    assert names(decide_take(PAIR, [], NOON)) == ["take_dump", "publish_backup"]
    known = [KnownBackup(id=f"b{days}", taken_at=NOON - days * DAY) for days in range(1, 400)]
    plan = decide_take(PAIR, known, NOON)
    assert names(plan) == ["take_dump", "expire_backups", "publish_backup"]
    gone = plan.steps[1].arguments["backup_ids"]
    assert {"b1", "b5"}.isdisjoint(gone)
    assert {"b50", "b100", "b399"} <= set(gone)


def set_kind(kind: str) -> EnvironmentSpec:
    """The environment with a pair, whose file says which kind is taken."""
    content = json.loads(PAIR.canonical_json())
    content["data"]["database"]["backups"]["kind"] = kind
    return EnvironmentSpec.model_validate_json(json.dumps(content))


def test_the_kind_is_the_files_unless_somebody_says_another() -> None:
    """A physical one is undone as long as it is not recorded, and its WAL is looked through after it."""
    physical = ["take_base_backup", "expire_wal", "publish_backup"]
    logical = ["take_dump", "publish_backup"]
    assert names(decide_take(PAIR, [], NOON, "physical")) == physical
    assert names(decide_take(set_kind("physical"), [], NOON)) == physical
    assert names(decide_take(set_kind("physical"), [], NOON, "logical")) == logical
    assert names(decide_take(set_kind("logical"), [], NOON)) == logical
    undo = decide_take(PAIR, [], NOON, "physical").steps[0].undo
    assert undo == Undo(name="delete_unrecorded", arguments={"backup_id": "dev-20261124T120000Z"})


def test_a_kind_that_is_not_the_databases_is_refused() -> None:
    """RDS has snapshots alone, and somebody without a pair is told so; so is a kind that nobody knows."""
    assert names(decide_take(RDS, [], NOON))[0] == "take_rds_snapshot"
    for spec, kind in ((RDS, "physical"), (RDS, "logical"), (NONE, "physical")):
        with pytest.raises(RefusedError, match="has no database pair") as caught:
            decide_take(spec, [], NOON, kind)
        assert "Leave the kind away" in caught.value.resolution
    with pytest.raises(RefusedError, match="no backups of the kind 'tape'"):
        decide_take(PAIR, [], NOON, "tape")


def test_no_kind_is_kept_in_place_of_another() -> None:
    """A new base backup lets old ones go and no dump; and the other way round."""
    days = range(1, 400)
    known = [KnownBackup(id=f"{kind}{day}", kind=kind, taken_at=NOON - day * DAY) for kind in KINDS for day in days]
    for kind in KINDS:
        alone = [one for one in known if one.kind == kind]
        gone = decide_take(PAIR, alone, NOON, kind).steps[1].arguments["backup_ids"]
        both = decide_take(PAIR, known, NOON, kind).steps[1].arguments["backup_ids"]
        assert [one for one in both if one.startswith(kind)] == gone


def test_what_cannot_be_backed_up_is_refused() -> None:
    """With the reason, and what can be done instead."""
    with pytest.raises(RefusedError, match="has nothing that could be backed up"):
        decide_take(NONE, [], NOON)


def test_the_newest_is_verified_or_the_one_that_is_named() -> None:
    """A scratch server has an undo; another environment's backup is refused, and so is none."""
    both = [KnownBackup(id=one, taken_at=NOON) for one in ("b2", "b1")]
    newest = decide_verification(PAIR, both, None)
    assert names(newest) == ["restore_and_ask", "publish_verdict"]
    assert newest.steps[0].undo is not None
    assert [decide_verification(PAIR, both, one).steps[0].arguments for one in (None, "b1")] == [
        {"backup_id": "b2"},
        {"backup_id": "b1"},
    ]
    for known, wanted in (([], None), (both, "b9")):
        with pytest.raises(RefusedError, match="has no backup"):
            decide_verification(PAIR, known, wanted)


def test_what_the_file_says_is_asked() -> None:
    """Retention, expectations and invariants; nothing where it says nothing."""
    assert (read_retention(PAIR).days, read_retention(NONE).days) == (7, 7)
    assert read_suites(PAIR)["bookings"][0].type == "expect_table_row_count_to_be_between"
    assert len(read_invariants(PAIR)) == 2
    assert (read_suites(NONE), read_invariants(RDS)) == ({}, {})


def test_a_backup_is_told() -> None:
    """Where it is, what is in it, and that nothing is proved yet."""
    manifest = Manifest(
        sha256="ab" * 32, tables={"public.a": TableContent(rows=3, hash="7")}, taken_at=NOON,
        sentinels=(Sentinel(table="m", row={"id": 1}),), wal_position="0/1", server_version="16.1",
    )  # fmt: skip
    text = render_backup("b1", "s3://vault/b1", 5_000_000, manifest)
    for words in ("s3://vault/b1", "5.0 MB", "| public.a | 3 | `7` |", "not proved yet", "2026-11-24 12:00:00"):
        assert words in text


def test_a_verdict_is_told_with_its_alarms() -> None:
    """Each answer, each fault, the trend; what stands in a dump cannot become markdown of ours."""
    answers = {
        Question.ENGINE: answer({"tables": 3}, ["ERROR: <script>|x"]),
        Question.FILE: answer({"size_bytes": 7, "sha256": "ab" * 32}, []),
        Question.DATA: Answer(passed=None, unasked="nothing was restored"),
    }
    alarm = Alarm(kind="failed", summary="dev: bad.", resolution="Mend it.")
    stored = sorted(decide_verdict(answers, 4.0, NOON).questions.items())  # as a column of jsonb gives it back
    verdict = decide_verdict(answers, 4.0, NOON).model_copy(update={"questions": dict(stored)})
    text = render_verdict("b1", verdict, Trend(now_seconds=4, before_seconds=2), [alarm])
    for words in (
        "# Backup b1: failed",
        "**failed**: dev: bad. Mend it.",
        "4.0 s; before, 2.0 s",
        "2026-11-24 12:00:00",
    ):
        assert words in text
    assert "| Does PostgreSQL think so? | **no** | tables 3 |" in text
    assert "| Is the file whole? | yes | size bytes 7 |" in text
    assert f"the file's sha256 is `{'ab' * 32}`" in text
    assert text.index("Is the file whole?") < text.index("Does PostgreSQL think so?") < text.index("Does the data mean")
    assert "not asked: nothing was restored" in text
    assert "ERROR: &lt;script>\\|x" in text
