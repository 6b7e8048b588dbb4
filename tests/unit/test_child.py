"""A child process: its lines come while it runs, and it ends in order however its run ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blocks.child import OutOfTimeError, run_child

# Terraform's manners: it writes down that it was interrupted, says so, and ends.
POLITE = """
import signal, sys, time
from pathlib import Path
def stop(*_):
    print("stopping", flush=True)
    Path("saved").write_text("state")
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
# It counts its interrupts for half a second after the first.
COUNTING = """
import signal, time
from pathlib import Path
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(time.monotonic()))
print("ready", flush=True)
while not seen or time.monotonic() < seen[0] + 0.5:
    time.sleep(0.01)
Path("count.new").write_text(str(len(seen)))
Path("count.new").rename("count")
"""
STUBBORN = POLITE.replace("signal.signal(signal.SIGINT, stop)", "signal.signal(signal.SIGINT, signal.SIG_IGN)")


def wait_until(claim: Callable[[], object], seconds: float = 10) -> None:
    """Poll a claim until it holds."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_lines_come_while_the_child_runs(tmp_path: Path) -> None:
    """Each line is handed over at once: the child here waits for the file that the callback writes."""
    code = "import os\nprint('go', flush=True)\nwhile not os.path.exists('seen'): pass\nprint('end', end='')"
    lines: list[str] = []

    def see(line: str) -> None:
        lines.append(line)
        (tmp_path / "seen").touch()

    ended = run_child(
        [sys.executable, "-c", code], folder=tmp_path, environment={}, on_line=see, timeout_seconds=20, grace_seconds=1
    )
    assert (ended.returncode, lines) == (0, ["go", "end"])


def test_stderr_and_exit_code_come_back(tmp_path: Path) -> None:
    """What the child said on stderr and how it ended."""
    ended = run_child(
        [sys.executable, "-c", "import sys; sys.exit('no room')"],
        folder=tmp_path,
        environment={},
        on_line=lambda _: None,
    )
    assert (ended.returncode, ended.stderr) == (1, "no room\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_interrupted_parent_lets_the_child_save(tmp_path: Path, error: type[BaseException]) -> None:
    """Whatever interrupts the wait, the child gets SIGINT, saves, and its last lines still arrive."""
    lines: list[str] = []

    def fail(line: str) -> None:
        lines.append(line)
        if line == "ready":
            raise error

    with pytest.raises(error):
        run_child([sys.executable, "-c", POLITE], folder=tmp_path, environment={}, on_line=fail, grace_seconds=20)
    assert (tmp_path / "saved").exists()
    assert lines == ["ready", "stopping"]


def test_a_callback_that_always_fails_does_not_cost_the_state(tmp_path: Path) -> None:
    """A second failure during the grace is survived."""

    def fail(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="ready"):
        run_child([sys.executable, "-c", POLITE], folder=tmp_path, environment={}, on_line=fail, grace_seconds=20)
    assert (tmp_path / "saved").exists()


def test_timeout_interrupts_too(tmp_path: Path) -> None:
    """After the timeout the child saves, and the caller gets OutOfTimeError."""
    with pytest.raises(OutOfTimeError):
        run_child(
            [sys.executable, "-c", POLITE], folder=tmp_path, environment={}, on_line=lambda _: None, timeout_seconds=0.5
        )
    assert (tmp_path / "saved").exists()


def test_a_child_that_ignores_the_interrupt_is_killed_after_the_grace(tmp_path: Path) -> None:
    """Its whole group ends, and the exit code tells of the kill."""
    pids: list[int] = []
    codes: list[int] = []
    with pytest.raises(OutOfTimeError):
        run_child(
            [sys.executable, "-c", STUBBORN],
            folder=tmp_path,
            environment={},
            on_line=lambda _: None,
            on_start=pids.append,
            on_end=codes.append,
            timeout_seconds=0.5,
            grace_seconds=0.5,
        )
    assert codes == [-signal.SIGKILL]
    assert not is_alive(pids[0])


@pytest.mark.parametrize("attempt", range(5))
def test_a_killed_parent_with_threads_interrupts_once(tmp_path: Path, attempt: int) -> None:
    """Terraform gives up its state on a second interrupt, so there is none, however many threads die with the run."""
    (tmp_path / "counting.py").write_text(COUNTING)
    parent_code = f"""
import sys, threading, time
from pathlib import Path
from blocks.child import run_child
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
run_child([sys.executable, "counting.py"], folder=Path({json.dumps(str(tmp_path))}), environment={{}},
          on_line=lambda line: print(line, flush=True))
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout
        assert parent.stdout.readline() == "ready\n"
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: (tmp_path / "count").exists())
        assert (tmp_path / "count").read_text() == "1"
    finally:
        parent.kill()
        parent.communicate()


@pytest.mark.parametrize("hostile", ["", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])", "ignore"])
def test_child_saves_when_the_parent_is_killed(tmp_path: Path, hostile: str) -> None:
    """kill -9 of the parent reaches the child as SIGINT, even where the parent blocked or ignored that signal."""
    hostile = "signal.signal(signal.SIGINT, signal.SIG_IGN)" if hostile == "ignore" else hostile
    (tmp_path / "polite.py").write_text(POLITE)
    parent_code = f"""
import signal, sys
from pathlib import Path
from blocks.child import run_child
{hostile}
run_child([sys.executable, "polite.py"], folder=Path({json.dumps(str(tmp_path))}), environment={{}},
          on_line=lambda line: print(line, flush=True), on_start=lambda pid: print(pid, flush=True))
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout
        child_pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "ready\n"
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(child_pid))
        assert (tmp_path / "saved").exists()
    finally:
        parent.kill()
        parent.communicate()


def test_a_thread_may_run_a_child(tmp_path: Path) -> None:
    """From another thread than the main one: the child lives as long as that thread waits for it."""
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(
            run_child,
            [sys.executable, "-c", "print('done')"],
            folder=tmp_path,
            environment={},
            on_line=(lines := []).append,
        ).result(20)
    assert (ended.returncode, lines) == (0, ["done"])
