"""What a dead run's Terraform left is found by its environment, and nothing else is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from blocks.left_processes import find_left_processes, kill_left_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
SLEEP = shutil.which("sleep") or "/bin/sleep"


def start(folder: Path, program: str = SLEEP, **more: str) -> "subprocess.Popen[bytes]":
    """A process whose Terraform configuration is in that folder."""
    return subprocess.Popen([program, "60"], env={"TF_CLI_CONFIG_FILE": f"{folder}/terraform.rc", **more})


@pytest.fixture
def terraform(tmp_path: Path) -> str:
    """A program that is called like Terraform."""
    return shutil.copy(SLEEP, tmp_path / "terraform")


def test_processes_of_a_run_are_found_and_no_others(tmp_path: Path) -> None:
    """Of this folder, not of one whose name begins alike; a process that is gone is not found."""
    own, other = start(tmp_path / "run-1"), start(tmp_path / "run-12")
    try:
        assert [it.pid for it in find_left_processes(tmp_path / "run-1")] == [own.pid]
        own.kill()
        os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
        assert find_left_processes(tmp_path / "run-1") == []
    finally:
        for process in (own, other):
            process.kill()
            process.wait()


def test_plugins_without_a_terraform_are_ended(tmp_path: Path, terraform: str) -> None:
    """While Terraform lives it looks after them itself; when it is gone nobody does."""
    main = start(tmp_path, terraform)
    plugin = start(tmp_path, terraform, TF_PLUGIN_MAGIC_COOKIE="x")
    try:
        found = {it.pid: it.is_terraform for it in find_left_processes(tmp_path)}
        assert found == {main.pid: True, plugin.pid: False}
        assert kill_left_processes(tmp_path) == 0
        main.kill()
        main.wait()
        assert kill_left_processes(tmp_path) == 1
        assert plugin.wait(10) == -9
    finally:
        for process in (main, plugin):
            process.kill()
            process.wait()
