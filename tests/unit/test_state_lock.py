"""Whose lock it is, and when its holder is provably dead."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.state_lock import HolderProcess, LockHolder, LockRecorder, identify_process, is_provably_dead

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the proof reads /proc")


def identify_self() -> HolderProcess:
    """This very process."""
    found = identify_process(os.getpid())
    assert found
    return found


def make_holder(created_at: datetime) -> LockHolder:
    """A lock of that time."""
    return LockHolder(id="lock-1", who="me@here", operation="OperationTypeApply", created_at=created_at)


def make_message(kind: str = "planned_change", after_seconds: float = 1) -> dict[str, str]:
    """A message of Terraform's stream."""
    return {"type": kind, "@timestamp": (datetime.now(UTC) + timedelta(seconds=after_seconds)).isoformat()}


def test_a_living_process_is_not_dead() -> None:
    """This process runs."""
    assert not is_provably_dead(identify_self())


def test_a_reused_pid_is_another_process() -> None:
    """The same id with another start time: the holder is gone."""
    me = identify_self()
    assert is_provably_dead(me.model_copy(update={"start_ticks": me.start_ticks - 1}))


def test_an_ended_process_is_dead() -> None:
    """A process that has ended, even one that nobody has waited for yet."""
    child = subprocess.Popen(["sleep", "60"])
    found = identify_process(child.pid)
    assert found
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_provably_dead(found)
    child.wait()
    assert is_provably_dead(found)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"pid_namespace": "pid:[1]"},
        {"boot_id": "another", "machine_id": "another"},
        {"boot_id": "another", "machine_id": ""},
    ],
)
def test_another_container_or_machine_proves_nothing(elsewhere: dict[str, str]) -> None:
    """A pid that does not exist here may well exist there."""
    assert not is_provably_dead(identify_self().model_copy(update={"pid": 4_194_304, **elsewhere}))


def test_a_boot_ends_every_process_of_this_machine() -> None:
    """The same machine with another boot: nothing of before is alive."""
    if not identify_self().machine_id:
        pytest.skip("this machine has no machine-id")
    assert is_provably_dead(identify_self().model_copy(update={"boot_id": "before"}))


def record(recorder: LockRecorder, pid: int, message: dict[str, str]) -> None:
    """One command as Terraform's class drives the recorder."""
    recorder.begin()
    recorder.start(pid)
    recorder.observe(message)


def test_the_lock_of_a_killed_child_is_known_to_the_next_run(tmp_path: Path) -> None:
    """What one run wrote down, another one reads; only once the process is gone is it dead."""
    child = subprocess.Popen(["sleep", "60"])
    first = LockRecorder(tmp_path, lambda: make_holder(datetime.now(UTC)))
    record(first, child.pid, make_message())
    following = LockRecorder(tmp_path, lambda: None)
    assert not following.is_dead("lock-1")
    child.kill()
    first.finish(child.wait())
    assert following.is_dead("lock-1")
    following.forget("lock-1")
    assert not following.is_dead("lock-1")


def test_a_child_that_ended_by_itself_leaves_no_record(tmp_path: Path) -> None:
    """It has released its lock, also where it failed."""
    answers = iter([True, False])
    recorder = LockRecorder(tmp_path, lambda: make_holder(datetime.now(UTC)) if next(answers) else None)
    record(recorder, os.getpid(), make_message())
    assert list(tmp_path.iterdir())
    recorder.finish(1)
    assert not list(tmp_path.iterdir())


def test_a_lock_that_could_not_be_released_stays_known(tmp_path: Path) -> None:
    """S3 was away when the child ended by itself: its lock is there, and the next run may break it."""
    recorder = LockRecorder(tmp_path, lambda: make_holder(datetime.now(UTC)))
    child = subprocess.Popen(["sleep", "60"])
    record(recorder, child.pid, make_message())
    child.kill()
    child.wait()
    recorder.finish(1)
    assert LockRecorder(tmp_path, lambda: None).is_dead("lock-1")


@pytest.mark.parametrize("kind", ["version", "diagnostic", "change_summary"])
def test_messages_that_come_without_the_lock_prove_nothing(tmp_path: Path, kind: str) -> None:
    """Nothing is written down for them."""
    recorder = LockRecorder(tmp_path, lambda: make_holder(datetime.now(UTC)))
    record(recorder, os.getpid(), make_message(kind))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shift_seconds", [-5, 5])
def test_a_lock_of_another_time_is_somebody_elses(tmp_path: Path, shift_seconds: int) -> None:
    """Made before our child began, or after it showed that it holds the lock."""
    recorder = LockRecorder(tmp_path, lambda: make_holder(datetime.now(UTC) + timedelta(seconds=shift_seconds)))
    record(recorder, os.getpid(), make_message())
    assert not list(tmp_path.iterdir())


def test_an_unknown_lock_is_not_dead(tmp_path: Path) -> None:
    """Without a record there is no proof, and no path outside the folder is read."""
    assert not LockRecorder(tmp_path, lambda: None).is_dead("../../etc/passwd")
