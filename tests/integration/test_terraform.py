"""Real Terraform with its state in the emulator's S3: what a run leaves behind, however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from blocks.aws import AwsAccount, state_key
from blocks.aws_objects import empty_bucket
from blocks.state_lock import HolderProcess, LockedError, is_provably_dead
from blocks.terraform import RESCUED_STATE, Terraform
from domain.changes import Counts
from domain.errors import PermanentError, TemporaryError
from tests.polling import wait_for

from .conftest import CHECKOUT
from .terraform_run import ENVIRONMENT, prepare

KEY = state_key(ENVIRONMENT)


def read_addresses(account: AwsAccount) -> set[str]:
    """The resources in the environment's state."""
    state = account.read_state(ENVIRONMENT) or {"resources": []}
    return {f"{row['type']}.{row['name']}" for row in state["resources"] if row["instances"]}


def interrupt_at(kind: str) -> Callable[[dict[str, object]], None]:
    """A callback that cancels its run at the first message of that type."""

    def stop(message: dict[str, object]) -> None:
        if message["type"] == kind:
            raise KeyboardInterrupt

    return stop


@contextmanager
def run_elsewhere(
    folder: Path, account: AwsAccount, program: Path, slow_seconds: int
) -> Iterator["subprocess.Popen[str]"]:
    """An apply in a process of its own, entered once its slow resource is being made."""
    run = {"account": account.model_dump(mode="json"), "program": str(program), "slow_seconds": slow_seconds}
    command = [sys.executable, "-m", "tests.integration.terraform_run", str(folder), json.dumps(run)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        for line in process.stdout:
            if line == "provision_start\n":
                break
        assert process.poll() is None, "it ended before its slow resource"
        yield process
    finally:
        process.kill()
        process.communicate()


def find_holder(folder: Path) -> HolderProcess:
    """The Terraform that holds the lock, as written down."""
    (record,) = (folder / "holders").glob("*.json")
    return HolderProcess.model_validate_json(record.read_text())


def test_plan_apply_again_destroy(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> None:
    """What was planned is made, a second plan is empty, outputs are read, and destroy removes everything."""
    terraform = prepare(tmp_path, account, terraform_program)
    planned = terraform.plan(tmp_path / "plan")
    assert planned.has_changes
    assert planned.changes.counts == Counts(add=2)
    kinds: list[str] = []
    outcome = terraform.apply(tmp_path / "plan", lambda message: kinds.append(str(message["type"])))
    assert outcome.counts == Counts(add=2)
    assert outcome.outputs == {"word": "made", "secret": None}
    assert kinds.count("apply_complete") == 2
    again = terraform.plan(tmp_path / "plan")
    assert not again.has_changes
    assert again.changes.counts.is_empty
    assert terraform.outputs() == {"word": "made", "secret": "hush"}
    assert terraform.output("word") == "made"
    assert terraform.pull_state() == account.read_state(ENVIRONMENT)
    assert terraform.destroy().counts == Counts(destroy=2)
    assert read_addresses(account) == set()
    assert not list((tmp_path / "holders").glob("*"))


def test_messages_come_while_terraform_runs(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> None:
    """A resource's start is told before the next one ends: a second before, for one that takes two."""
    terraform = prepare(tmp_path, account, terraform_program, slow_seconds=2)
    terraform.plan(tmp_path / "plan")
    seen: dict[str, float] = {}
    terraform.apply(tmp_path / "plan", lambda message: seen.setdefault(str(message["type"]), time.monotonic()) and None)
    assert seen["change_summary"] - seen["provision_start"] > 1


def test_failed_apply_keeps_what_was_made_and_the_next_one_continues(
    tmp_path: Path, account: AwsAccount, terraform_program: Path
) -> None:
    """The error names the resource and its cause; nothing is made twice."""
    terraform = prepare(tmp_path, account, terraform_program, fail=True)
    terraform.plan(tmp_path / "plan")
    with pytest.raises(PermanentError, match=r"terraform_data\.fails\[0\].*no such part"):
        terraform.apply(tmp_path / "plan")
    assert {"terraform_data.first", "terraform_data.slow"} <= read_addresses(account)
    terraform = prepare(tmp_path, account, terraform_program)
    assert terraform.plan(tmp_path / "plan").changes.counts == Counts(destroy=1)


def test_broken_hcl_is_named(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> None:
    """What Terraform says about its files comes through, with the way out."""
    terraform = prepare(tmp_path, account, terraform_program)
    (terraform.folder / "broken.tf").write_text('output "x" { value = terraform_data.missing.id }')
    with pytest.raises(PermanentError, match="Reference to undeclared resource") as raised:
        terraform.plan(tmp_path / "plan")
    assert "environment dev: terraform plan failed" in raised.value.summary
    prepare(tmp_path, account, terraform_program).plan(tmp_path / "plan")


def test_account_without_bucket_is_named(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> None:
    """A missing state bucket fails the init, and says which."""
    missing = account.model_copy(update={"state_bucket": "terrarium-state-missing"})
    with pytest.raises(PermanentError, match="terrarium-state-missing"):
        prepare(tmp_path, missing, terraform_program)


def test_cancelled_apply_writes_its_state_and_frees_the_lock(
    tmp_path: Path, account: AwsAccount, terraform_program: Path
) -> None:
    """A cancel in the middle of a resource: what was made is in the state, and the next apply converges."""
    terraform = prepare(tmp_path, account, terraform_program, slow_seconds=60)
    terraform.plan(tmp_path / "plan")
    with pytest.raises(KeyboardInterrupt):
        terraform.apply(tmp_path / "plan", interrupt_at("provision_start"))
    assert read_addresses(account) == {"terraform_data.first", "terraform_data.slow"}
    assert account.read_lock(KEY) is None
    assert not list((tmp_path / "holders").glob("*"))
    terraform = prepare(tmp_path, account, terraform_program)
    terraform.plan(tmp_path / "plan")
    terraform.apply(tmp_path / "plan")
    assert not terraform.plan(tmp_path / "plan").has_changes


def test_timeout_is_a_cancel(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> None:
    """Past its time Terraform is interrupted, its state is written, and waiting may help."""
    terraform = prepare(tmp_path, account, terraform_program, slow_seconds=60, timeout_seconds=4.0)
    terraform.plan(tmp_path / "plan")
    with pytest.raises(TemporaryError, match=r"took more than 4\.0 seconds"):
        terraform.apply(tmp_path / "plan")
    assert "terraform_data.first" in read_addresses(account)
    assert account.read_lock(KEY) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at a parent's death is Linux's")
def test_terraform_ends_in_order_when_its_run_is_killed(
    tmp_path: Path, account: AwsAccount, terraform_program: Path
) -> None:
    """kill -9 of the run in the middle of an apply: Terraform ends by itself, writes its state, releases its lock."""
    with run_elsewhere(tmp_path, account, terraform_program, slow_seconds=60) as run:
        holder = find_holder(tmp_path)
        os.kill(run.pid, signal.SIGKILL)
        wait_for("the holder is gone", lambda: is_provably_dead(holder))
    assert read_addresses(account) == {"terraform_data.first", "terraform_data.slow"}
    assert account.read_lock(KEY) is None
    terraform = prepare(tmp_path, account, terraform_program)
    terraform.plan(tmp_path / "plan")
    terraform.apply(tmp_path / "plan")
    assert not terraform.plan(tmp_path / "plan").has_changes


def test_lock_of_a_living_holder_is_respected(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> None:
    """The error names who holds it, waiting helps, and breaking it is refused with the way out."""
    with run_elsewhere(tmp_path, account, terraform_program, slow_seconds=60):
        terraform = prepare(tmp_path / "other", account, terraform_program)
        with pytest.raises(LockedError, match="OperationTypeApply") as raised:
            terraform.plan(tmp_path / "plan")
        holder = raised.value.holder
        assert holder == account.read_lock(KEY)
        terraform = prepare(tmp_path, account, terraform_program)
        with pytest.raises(PermanentError, match=f"terraform force-unlock {holder.id}"):
            terraform.break_lock(holder.id)
        assert account.read_lock(KEY) == holder


@pytest.mark.skipif(sys.platform != "linux", reason="the proof reads /proc")
def test_lock_of_a_dead_holder_is_broken_by_the_stack_that_knows_it(
    tmp_path: Path, account: AwsAccount, terraform_program: Path
) -> None:
    """Terraform itself killed with -9 leaves its lock: this stack proves it dead, a stranger does not."""
    with run_elsewhere(tmp_path, account, terraform_program, slow_seconds=60) as run:
        os.kill(find_holder(tmp_path).pid, signal.SIGKILL)
        run.wait(30)
    stranger = prepare(tmp_path / "stranger", account, terraform_program)
    with pytest.raises(LockedError) as raised:
        stranger.plan(tmp_path / "plan")
    lock_id = raised.value.holder.id
    with pytest.raises(PermanentError, match="not provably"):
        stranger.break_lock(lock_id)
    terraform = prepare(tmp_path, account, terraform_program)
    terraform.break_lock(lock_id)
    assert account.read_lock(KEY) is None
    assert terraform.plan(tmp_path / "plan").has_changes


def test_state_that_cannot_be_written_is_reported_and_kept(
    tmp_path: Path, account: AwsAccount, terraform_program: Path
) -> None:
    """The bucket goes away during the apply: the error names the rescued file, and nothing runs over it."""
    terraform = prepare(tmp_path, account, terraform_program, slow_seconds=1)
    terraform.plan(tmp_path / "plan")

    def lose_bucket(message: dict[str, object]) -> None:
        if message["type"] == "provision_start":
            empty_bucket(account, account.state_bucket)
            account.client("s3").delete_bucket(Bucket=account.state_bucket)

    with pytest.raises(PermanentError, match=RESCUED_STATE) as raised:
        terraform.apply(tmp_path / "plan", lose_bucket)
    assert "puts that state into the bucket" in raised.value.resolution
    rescued = json.loads((terraform.folder / RESCUED_STATE).read_text())
    assert {row["name"] for row in rescued["resources"]} == {"first", "slow"}
    with pytest.raises(PermanentError, match=RESCUED_STATE):
        prepare(tmp_path, account, terraform_program)


def test_copy_follows_its_source(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> None:
    """HCL that has left the source leaves the work folder too, and modules come along at the place they are named."""
    terraform = prepare(tmp_path, account, terraform_program)
    source = tmp_path / "source"
    (source / "modules" / "part").mkdir(parents=True)
    (source / "modules" / "part" / "main.tf").write_text('output "word" { value = "from the module" }')
    extra = source / "stacks" / "small" / "extra.tf"
    extra.write_text('module "part" { source = "../../modules/part" }\noutput "extra" { value = module.part.word }')
    inputs, backend = {"slow_seconds": 0}, account.terraform_backend(KEY)
    terraform.prepare(extra.parent, inputs, backend)
    terraform.init()
    terraform.plan(tmp_path / "plan")
    assert terraform.apply(tmp_path / "plan").outputs["extra"] == "from the module"
    extra.unlink()
    terraform.prepare(extra.parent, inputs, backend)
    terraform.init()
    terraform.plan(tmp_path / "plan")
    assert "extra" not in terraform.apply(tmp_path / "plan").outputs


def test_a_plan_can_be_applied_from_another_folder(
    tmp_path: Path, account: AwsAccount, terraform_program: Path
) -> None:
    """The plan that was shown is kept in the account and applied by a later run, on the same plan and no other."""
    first: Terraform = prepare(tmp_path / "first", account, terraform_program)
    first.plan(tmp_path / "plan")
    account.put_plan(ENVIRONMENT, "plan-1", (tmp_path / "plan").read_bytes())
    (tmp_path / "fetched").write_bytes(account.read_plan(ENVIRONMENT, "plan-1"))
    second = prepare(tmp_path / "second", account, terraform_program)
    assert second.apply(tmp_path / "fetched").counts == Counts(add=2)
    with pytest.raises(PermanentError, match="plan again"):
        second.apply(tmp_path / "fetched")
