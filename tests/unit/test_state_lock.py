"""Whose lock it is, and when its holder is provably dead."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.state_lock import HolderProcess, LockHolder, LockRecorder, identify_process, is_provably_dead
from domain.errors import TemporaryError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the proof reads /proc")


def identify_self() -> HolderProcess:
    """This very process."""
    found = identify_process(os.getpid())
    assert found
    return found


def make_holder(created_at: datetime) -> LockHolder:
    """A lock of that time."""
    return LockHolder(id="lock-1", who="me@here", operation="OperationTypeApply", created_at=created_at)


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


LOG = "2026-11-24T12:00:00Z [INFO]  backend-s3: Locked remote state: tf_backend.lock.id={} tf_backend.lock.who=me"


def record(recorder: LockRecorder, pid: int, lock_id: str = "lock-1") -> None:
    """One command as Terraform's class drives the recorder; its log tells which lock it takes."""
    log = Path(recorder.begin()["TF_LOG_PATH"])
    recorder.start(pid)
    log.write_text(LOG.format(lock_id))


def test_the_lock_of_a_killed_child_is_known_to_the_next_run(tmp_path: Path) -> None:
    """What one child told, another run reads; only once the process is gone is it dead."""
    child = subprocess.Popen(["sleep", "60"])
    first = LockRecorder(tmp_path, lambda: make_holder(datetime.now(UTC)))
    record(first, child.pid)
    following = LockRecorder(tmp_path, lambda: None)
    assert not following.is_dead("lock-1")
    child.kill()
    first.finish(child.wait())
    assert following.is_dead("lock-1")
    following.forget("lock-1")
    assert not following.is_dead("lock-1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("returncode", [0, 1, -9])
def test_a_child_that_released_its_lock_leaves_no_record(tmp_path: Path, returncode: int) -> None:
    """However it ended."""
    recorder = LockRecorder(tmp_path, lambda: None)
    record(recorder, os.getpid())
    assert list(tmp_path.iterdir())
    recorder.finish(returncode)
    assert not list(tmp_path.iterdir())


def test_a_lock_that_could_not_be_released_stays_known(tmp_path: Path) -> None:
    """S3 was away when the child ended by itself: its lock is there, and the next run may break it."""

    def fail() -> LockHolder | None:
        raise TemporaryError("S3 is away.", "Wait.")

    child = subprocess.Popen(["sleep", "60"])
    recorder = LockRecorder(tmp_path, fail)
    record(recorder, child.pid)
    child.kill()
    child.wait()
    recorder.finish(1)
    assert LockRecorder(tmp_path, lambda: None).is_dead("lock-1")


def test_a_lock_of_another_holder_is_somebody_elses(tmp_path: Path) -> None:
    """The child tried to take it and told another id: nothing of its death speaks of that lock."""
    recorder = LockRecorder(tmp_path, lambda: make_holder(datetime.now(UTC)))
    child = subprocess.Popen(["sleep", "60"])
    record(recorder, child.pid, "lock-2")
    child.kill()
    recorder.finish(child.wait())
    assert not LockRecorder(tmp_path, lambda: None).is_dead("lock-1")


def test_an_unknown_lock_is_not_dead(tmp_path: Path) -> None:
    """Without a record there is no proof, and no path outside the folder is read."""
    assert not LockRecorder(tmp_path, lambda: None).is_dead("../../etc/passwd")
