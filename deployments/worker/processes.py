"""Processes of runs as the worker sees them: forked by the zygote, waited for here, known by their name.

The worker is a subreaper: runs, and what a killed run leaves behind, become its children. Linux.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import anyio

from blocks.settings import CHECKOUT

PR_SET_CHILD_SUBREAPER = 36
#: Every run's process is named so, with the end of the run's id: 15 characters are all that the kernel keeps.
NAME_PREFIX = "run-"
#: The exit code of a process that another worker started: only its parent is told the real one.
UNKNOWN_EXIT_CODE = 255
START_SECONDS = 60


def name_process(run_id: UUID) -> str:
    """The name of a run's process, as `ps` and `top` show it."""
    return f"{NAME_PREFIX}{run_id.hex[-11:]}"


def become_subreaper() -> None:
    """From here on the orphans of this process's descendants are its children."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class RunProcess:
    """One run's process, with the two attributes that Prefect's ProcessHandle reads."""

    def __init__(self, pid: int) -> None:
        """ProcessLookupError where there is no such process."""
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)

    async def wait(self) -> None:
        """Return when it has ended; `returncode` is negative for a signal."""
        try:
            await anyio.wait_readable(self._descriptor)
        finally:
            os.close(self._descriptor)
        try:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            self.returncode = UNKNOWN_EXIT_CODE


def find_process(pid: int, run_id: UUID) -> RunProcess | None:
    """The process of a run that another worker started, while it lives."""
    with suppress(OSError):
        process = RunProcess(pid)
        if Path(f"/proc/{pid}/comm").read_text().strip() == name_process(run_id):
            return process
    return None


class Zygote:
    """The warm process, started again where it was killed. Safe to use from several threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # One thread: numpy starts a pool of them at its import otherwise.
        self._environment = {**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None before its start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it where it does not run; it imports for a second or two, and takes requests meanwhile."""
        if self._process is not None and self._process.poll() is None:
            return
        self.end()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(START_SECONDS)
        command = [sys.executable, "-m", "deployments.worker.zygote"]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs, cwd=CHECKOUT, env=self._environment)

    def fork(self, run_id: UUID, folder: str, environment: Mapping[str, str], handed: str) -> RunProcess:
        """A process for a run, with the run itself as deployments/worker/handed.py writes it.

        Asked again only where the zygote cannot have read the question: a run must never be forked twice.
        """
        run = {"name": name_process(run_id), "folder": folder, "environment": dict(environment), "handed": handed}
        message = json.dumps(run).encode()
        with self._lock:
            try:
                return RunProcess(self._ask(message))
            except (BrokenPipeError, ConnectionResetError):
                self.end()
                return RunProcess(self._ask(message))

    def _ask(self, message: bytes) -> int:
        self.start()
        assert self._socket is not None
        self._socket.send(message)
        answer = self._socket.recv(20)
        if not answer:
            self.end()
            raise RuntimeError("The zygote ended while it forked.")
        return int(answer)

    def end(self) -> None:
        """End it; the runs go on."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._socket = None


def reap_orphans(kept: set[int | None]) -> None:
    """Collect what a killed run left behind and has ended meanwhile; `kept` are waited for elsewhere."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in kept:
            os.waitpid(ended.si_pid, 0)
