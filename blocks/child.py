"""A child process that ends in order when its run does, however that ends.

Its output goes to a file that we read along, not to a pipe: when our process is killed a pipe breaks, Terraform dies
of SIGPIPE at its next word, and its state is neither written nor unlocked. The file tells how far the child came.
Invariant: Terraform gives up its state on a second interrupt, so nobody sends two. That is why a guard of its own, and
not PR_SET_PDEATHSIG, interrupts the child of a run that is gone: the kernel sends that signal once for each thread that
the child is handed to while a killed process ends (seen: two within 3 ms, and the state lost).
"""

import math
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.1
# It reads the child's process id, then waits: for a word that all is over, or for the end of the pipe, which is ours.
GUARD = 'read -r pid || exit 0; read -r _ || kill -INT "$pid"'


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (negative: the signal that killed it) and what it wrote to stderr."""

    returncode: int
    stderr: str


class OutOfTimeError(Exception):
    """The child took longer than it was given, and has been interrupted."""


def run_child(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
    on_start: Callable[[int], None] = lambda pid: None,
    on_end: Callable[[int], None] = lambda returncode: None,
    transcript: Path | None = None,
    timeout_seconds: float | None = None,
    grace_seconds: float = 60,
) -> Ended:
    """Run a command in its own session, give each line of its stdout to `on_line` as it comes, and wait for its end.

    Whatever interrupts the wait (a cancel, SIGTERM turned into an exception, a failing callback, OutOfTimeError) is
    raised again after the child has had SIGINT and up to `grace_seconds` to end; then its group is killed. Where our
    process is killed, the child gets SIGINT. `on_start` gets the process id, `on_end` the exit code, whatever happened
    between. `transcript` keeps the stdout; without one it goes to a file without a name.
    """
    deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    with (
        transcript.open("w+b") if transcript else tempfile.TemporaryFile(dir=folder) as out,
        tempfile.TemporaryFile(dir=folder) as err,
        _Guard() as guard,
    ):
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
        )
        guard.watch(process.pid)
        lines = _Lines(out)
        try:
            on_start(process.pid)
            _wait(process, lines, on_line, deadline)
        except BaseException:
            guard.dismiss()
            _interrupt(process, lines, on_line, grace_seconds)
            raise
        finally:
            _kill_group_of_killed(process)
            on_end(process.returncode)
        err.seek(0)
        return Ended(process.returncode, err.read().decode(errors="replace"))


class _Guard:
    """A shell that interrupts the child when our process is gone: it reads a pipe that ends with us."""

    def __enter__(self) -> "_Guard":
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", GUARD],
            cwd="/",
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal to our group is none to it
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        self.dismiss()
        self._shell.wait()

    def watch(self, pid: int) -> None:
        """From now on."""
        self._tell(f"{pid}\n")

    def dismiss(self) -> None:
        """The child has ended, or we interrupt it ourselves; saying so twice is saying so once."""
        if self._shell.stdin and not self._shell.stdin.closed:
            self._tell("\n")
            self._shell.stdin.close()

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):
            assert self._shell.stdin is not None
            os.write(self._shell.stdin.fileno(), line.encode())


def _hear_interrupts() -> None:
    """In the child, before exec: SIGINT is deliverable whatever the parent blocks or ignores."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _kill_group_of_killed(process: "subprocess.Popen[bytes]") -> None:
    """A child that a signal killed has told its own children nothing: Terraform's plugins would stay for ever."""
    if process.returncode < 0:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait(process: "subprocess.Popen[bytes]", lines: "_Lines", on_line: Callable[[str], None], deadline: float) -> None:
    """Hand out lines until the child has ended and all are handed out; OutOfTimeError at the deadline (monotonic)."""
    has_ended = False
    while not has_ended:
        if time.monotonic() >= deadline:
            raise OutOfTimeError
        try:
            process.wait(POLL_SECONDS)
            has_ended = True
        except subprocess.TimeoutExpired:
            pass
        lines.hand_out(on_line, at_end=has_ended)


def _interrupt(
    process: "subprocess.Popen[bytes]", lines: "_Lines", on_line: Callable[[str], None], grace_seconds: float
) -> None:
    """SIGINT to the child alone (Terraform tells its plugins itself), wait for its end, kill what outlives that."""
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + grace_seconds
    while True:
        try:
            return _wait(process, lines, on_line, deadline)
        except OutOfTimeError:
            os.killpg(process.pid, signal.SIGKILL)
            deadline = math.inf
        except BaseException:  # noqa: S112 - a second signal or a failing callback must not cost the child its state
            continue


class _Lines:
    """The lines of a growing file. Those read and not yet handed out survive a callback that fails."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._fd = stream.fileno()
        self._offset = 0
        self._rest = b""
        self._pending: deque[str] = deque()

    def hand_out(self, on_line: Callable[[str], None], *, at_end: bool) -> None:
        """Give the new whole lines to `on_line`; at the end of the child also a last one without a line feed."""
        # pread, for the child writes at the offset that it shares with us
        while chunk := os.pread(self._fd, 1 << 20, self._offset):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._pending.extend(line.decode(errors="replace") for line in lines)
        if at_end and self._rest:
            self._pending.append(self._rest.decode(errors="replace"))
            self._rest = b""
        while self._pending:
            on_line(self._pending.popleft())
