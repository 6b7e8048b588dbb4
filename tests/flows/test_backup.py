"""Backups of an environment's pair, taken and verified through the real flows on the real stack."""

from collections.abc import Iterator
from typing import Any

import pytest

from blocks.ledger import RunRow
from blocks.ledger.backups import BackupRow, VerdictRow
from blocks.postgres.session import connect
from tests.flow_process import list_objects
from tests.flow_steps import every_step_can_fail
from tests.flow_world import World
from tests.flows.test_pair import PLACE, find_pair
from tests.polling import wait_for

ROWS = 2000
BACKUPS = {
    "schedule": "* * * * *",
    "expectations": {
        "bookings": ({"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},),
        "authors": ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "email"}},),
    },
    "invariants": {"an author is of ours": "SELECT id FROM authors WHERE email NOT LIKE '%@example.com'"},
}
DATABASE = {"version": "16", "provider": "postgres", "example_rows": ROWS, "backups": BACKUPS}
SPEC: dict[str, Any] = PLACE | {"data": {"database": DATABASE}}
TAKEN = ["take_dump", "publish_backup"]


@pytest.fixture(scope="module")
def ready(world: World) -> Iterator[str]:
    """An environment with a pair, for all tests of this file."""
    name = "t-backups"
    world.make(name, **SPEC)
    yield name
    assert world.run("teardown", name).status == "succeeded"


def steps(world: World, run: RunRow) -> list[str]:
    """The names of a run's steps."""
    return [step.name for step in world.steps(run.run_id)]


def newest(world: World, name: str) -> BackupRow:
    """The backup that was taken last."""
    return world.ledger.list_backups(name)[0]


def verdict_of(world: World, run: RunRow) -> VerdictRow:
    """What a run found."""
    return next(row for row in world.ledger.list_verdicts(run.environment) if row.run_id == run.run_id)


def test_a_backup_is_taken_and_proved(world: World, ready: str) -> None:
    """Dump and manifest are in the vault; restored, every question is answered yes, and nothing of it stays."""
    run = world.run("backup", ready)
    assert (run.status, run.error, run.environment_status) == ("succeeded", "", None)
    assert steps(world, run) == TAKEN
    backup = newest(world, ready)
    kept = list_objects(world.account, world.account.vault_bucket, f"backups/{ready}/{backup.id}/")
    assert [key.rpartition("/")[2] for key in kept] == ["dump", "manifest.json"]
    assert backup.manifest["tables"]["public.bookings"]["rows"] == ROWS * 600 // 1000
    assert backup.manifest["sentinels"]
    assert backup.manifest["schema_version"]
    checked = world.run("verify", ready)
    assert (checked.status, checked.error) == ("succeeded", "")
    found = verdict_of(world, checked)
    assert (found.status, found.backup_id) == ("passed", backup.id)
    assert {name: answer["passed"] for name, answer in found.questions.items()} == dict.fromkeys(found.questions, True)
    assert found.recovery_point_at is not None
    assert world.is_clean(checked.run_id)
    assert world.status(ready) == "ready"


def test_a_backup_that_is_not_what_it_promised_fails(world: World, ready: str) -> None:
    """Its rules are asked of what was restored: a run over a broken one fails, and says which."""
    with connect(find_pair(world, ready), "app") as session:
        session.execute("UPDATE authors SET email = 'author1@example.net' WHERE id = 1")
    assert world.run("backup", ready).status == "succeeded"
    with connect(find_pair(world, ready), "app") as session:
        session.execute("UPDATE authors SET email = 'author1@example.com' WHERE id = 1")
    run = world.run("verify", ready)
    assert run.status == "failed"
    assert run.environment_status is None
    assert "an author is of ours" in run.error
    assert verdict_of(world, run).status == "failed"
    assert "failed" in world.read_artifact(f"verdict-{ready}")


def test_a_damaged_object_in_the_vault_fails(world: World, ready: str) -> None:
    """What was kept is not what is there: sha256 says so."""
    assert world.run("backup", ready).status == "succeeded"
    backup = newest(world, ready)
    s3, place = world.account.client("s3"), {"Bucket": world.account.vault_bucket}
    key = f"backups/{ready}/{backup.id}/dump"
    content = bytearray(s3.get_object(**place, Key=key)["Body"].read())
    content[len(content) // 2] ^= 0x10
    s3.put_object(**place, Key=key, Body=bytes(content))
    run = world.run("verify", ready)
    assert run.status == "failed"
    assert verdict_of(world, run).questions["file"]["passed"] is False


@pytest.mark.parametrize(("word", "names"), [("backup", TAKEN), ("verify", ["restore_and_ask", "publish_verdict"])])
def test_every_step_can_fail(world: World, ready: str, word: str, names: list[str]) -> None:
    """The environment is as before, no scratch folder is left, and the next run goes its way."""
    assert world.run("backup", ready).status == "succeeded"
    every_step_can_fail(world, word, ready, None, tuple(names))
    assert world.run(word, ready).status == "succeeded"


@pytest.mark.parametrize(("word", "step"), [("backup", "take_dump"), ("verify", "restore_and_ask")])
def test_a_killed_run_leaves_nothing(world: World, ready: str, word: str, step: str) -> None:
    """SIGKILL after the effect: a scratch server ends with its run, and the sweeper removes what there was."""
    assert world.run("backup", ready).status == "succeeded"
    with world.faults.order(ready, step, "end", "hang"):
        world.process.tell("run", word, {"environment": ready}, None)
        wait_for("the step has had its effect", world.faults.is_hanging, 120)
        run_id = world.ledger.list_runs(ready)[0].run_id
        world.process.kill()
    world.sweep()
    run = world.ledger.read_run(run_id)
    assert run is not None
    assert run.status == "crashed"
    outcomes = {one.name: one.outcome for one in world.steps(run_id)}
    assert outcomes[step] == {"take_dump": "interrupted", "restore_and_ask": "undone"}[step]
    assert world.is_clean(run_id)
    assert world.status(ready) == "ready"
    assert world.run("verify", ready).status == "succeeded"


def test_a_schedule_takes_and_verifies(world: World, ready: str) -> None:
    """What is due by the file's own schedule is started, as the actor `schedule`: a backup, then its restore test."""

    def has_verified() -> bool:
        assert world.process.ask("run", "due backups", {}, None)["state"] == "COMPLETED"
        done = [run.operation for run in world.ledger.list_runs(ready) if _is_scheduled(run)]
        return "verify" in done and "backup" in done

    wait_for("the schedule takes one and verifies it", has_verified, 300, 2)
    wait_for("no run goes on", lambda: all(run.finished_at for run in world.ledger.list_runs(ready)), 120)


def _is_scheduled(run: RunRow) -> bool:
    return run.actor == "schedule" and run.status == "succeeded"


def test_an_environment_without_a_pair_is_refused(world: World, name: str) -> None:
    """And one without a backup has none to verify."""
    world.make(name)
    assert (world.run("backup", name).status, world.run("verify", name).status) == ("refused", "refused")
    world.run("teardown", name)
