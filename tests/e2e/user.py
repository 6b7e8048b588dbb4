"""A person at a terminal of this machine: the `terrarium` command and curl, against a running stack."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack import LocalStack

COMMAND_SECONDS = 180
#: An environment of four parts that makes nothing in a cloud: a run takes seconds.
REHEARSAL = """\
name: {name}
class: sandbox
cloud: terraform_data
owner: platform@travelblog.example
cost_centre: TB-100
data:
  queue: {{}}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """stdout, which is one JSON object and nothing else."""
        found = json.loads(self.out)
        assert isinstance(found, dict), self.out
        return found


@dataclass(frozen=True)
class User:
    """Types commands in `folder`, where their spec files are."""

    stack: LocalStack
    folder: Path

    def terrarium(self, *arguments: str, **variables: str) -> Ended:
        """Run the command to its end, without a terminal, with some more variables."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment | variables, cwd=self.folder, text=True, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command, with its output in pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(*arguments), env=self.environment, cwd=self.folder, text=True, stdout=pipe, stderr=pipe,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def terrarium_at_terminal(self, question: str, answer: str, *arguments: str) -> Ended:
        """Run the command on a terminal of its own and type `answer` when `question` stands there.

        A terminal is one stream: `err` is all that stood on it, and `out` is empty.
        """
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(sys.executable, self.command(*arguments), self.environment)  # noqa: S606 - the child is this command
        shown, is_answered = "", False
        while piece := _read_terminal(terminal):
            shown += piece
            if not is_answered and question in shown:
                is_answered = True
                os.write(terminal, f"{answer}\n".encode())
        os.close(terminal)
        return Ended(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "", shown)

    def curl(self, path: str, body: dict[str, Any], *options: str) -> Ended:
        """POST with curl; with `-i` among the options stdout begins with the head of the answer."""
        headers = ("-H", f"Authorization: Bearer {self.stack.token}", "-H", "Content-Type: application/json")
        url = f"{self.stack.settings.api_url}{path}"
        command = ["curl", "-sS", "--noproxy", "*", url, "-d", json.dumps(body), *headers, *options]
        done = subprocess.run(command, text=True, capture_output=True, timeout=COMMAND_SECONDS)
        return Ended(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, *lines: str) -> str:
        """A spec file of a rehearsal with some more lines; the file's name."""
        (self.folder / f"{name}.yaml").write_text(REHEARSAL.format(name=name) + "".join(f"{it}\n" for it in lines))
        return f"{name}.yaml"

    def read_run(self, run_id: str) -> dict[str, Any]:
        """A run as the command shows it."""
        return self.terrarium("runs", "show", run_id, "--json").answer

    def read_environment(self, name: str) -> dict[str, Any]:
        """An environment as the list shows it; without a status where it is not there."""
        return next((row for row in self.list_environments() if row["name"] == name), {"status": None})

    def list_environments(self) -> list[dict[str, Any]]:
        """All environments."""
        found: list[dict[str, Any]] = self.terrarium("env", "list", "--json").answer["environments"]
        return found

    @staticmethod
    def command(*arguments: str) -> Sequence[str]:
        """The installed program, with the Python that runs the tests."""
        return [sys.executable, str(Path(sys.executable).with_name("terrarium")), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Of a shell in which the stack's settings are exported."""
        return {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"} | self.stack.variables


def _read_terminal(terminal: int) -> str:
    """The next piece, empty at the end: Linux answers EIO when nobody holds the other side any more."""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        return ""
