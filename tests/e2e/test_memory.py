"""The emulator keeps everything in memory: what becomes of its environments when it dies, on a stack of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.ledger import open_ledger
from blocks.settings import CHECKOUT
from tests.e2e.user import COMMAND_SECONDS, User
from tests.polling import wait_for
from tests.stack import LocalStack, create_stack

RESTART_SECONDS = 60

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("own_emulator")]


@pytest.fixture
def own_user(tmp_path: Path) -> Iterator[User]:
    """A person whose emulator may die: a stack that nobody else uses, with an account that no bootstrap made."""
    own_stack = create_stack()
    try:
        own_stack.up()
        create = [sys.executable, "-m", "tests.e2e.create_account"]
        subprocess.run(create, env=own_stack.environment, cwd=CHECKOUT, check=True, timeout=COMMAND_SECONDS)
        yield User(own_stack, tmp_path)
    finally:
        own_stack.remove()


def kill_emulator(stack: LocalStack) -> None:
    """SIGKILL to the emulator's process; returns when its supervisor has started another one."""
    pid = stack.parts["emulator"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(
        "the supervisor starts another emulator",
        lambda: stack.parts["emulator"].is_healthy and stack.parts["emulator"].pid != pid,
        RESTART_SECONDS,
    )


def test_up_makes_again_what_the_emulator_forgot(own_user: User) -> None:
    """A whole `make up`: both accounts are bootstrapped, the lost environment is made again, and `dev` is ready.

    Until then it was claimed only by the ledger, and `doctor` said so; another `make up` changes nothing.
    """
    assert own_user.terrarium("env", "apply", own_user.write("small"), "--yes").code == 0
    with open_ledger(own_user.stack.environment["TERRARIUM_LEDGER_URL"]) as ledger:
        ledger.add_vault_object("anchor", "nonproduction", "s3://vault/a", "a" * 64, ledger.read_head(), "schedule")
    kill_emulator(own_user.stack)
    doctor = own_user.terrarium("doctor")
    assert (doctor.code, "has forgotten nonproduction" in doctor.out) == (3, True), doctor.out

    done = own_user.stack.run("up")
    assert done.returncode == 0, done.stderr
    assert "The emulator forgot small: it is being made again" in done.stderr
    assert "The emulator's vault forgot 1 anchors and backups" in done.stderr
    environments = {row["name"]: row for row in own_user.list_environments()}
    assert environments["dev"]["status"] == "ready"
    wait_for("it is ready again", lambda: own_user.read_environment("small")["status"] == "ready", COMMAND_SECONDS)
    assert own_user.read_environment("small")["resources"] == 4
    newest, *_ = own_user.terrarium("runs", "list", "--environment", "small", "--json").answer["runs"]
    assert (newest["status"], newest["changes"]["add"]) == ("succeeded", 4)

    runs = own_user.terrarium("runs", "list", "--json").answer["runs"]
    again = own_user.stack.run("up")
    assert again.returncode == 0, again.stderr
    assert "started" not in again.stderr
    assert own_user.terrarium("runs", "list", "--json").answer["runs"] == runs
