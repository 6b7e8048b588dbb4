"""What the README says that commands print and answer, against a running stack; a rehearsal keeps it short."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from blocks.settings import CHECKOUT, Settings
from tests.readme import Command, read_commands, read_files
from tests.stack import LocalStack

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
COMMAND_SECONDS = 120

pytestmark = pytest.mark.e2e


@pytest.fixture
def folder(stack: LocalStack, tmp_path: Path) -> Path:
    """Where the commands are typed: it has the README's files, and the state folder as a checkout has it."""
    create = [sys.executable, "-m", "tests.e2e.create_account"]
    subprocess.run(create, env=stack.environment, cwd=CHECKOUT, check=True, timeout=COMMAND_SECONDS)
    (tmp_path / ".terrarium").symlink_to(stack.settings.state_dir)
    for name, text in read_files().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_commands_and_samples_of_the_readme(stack: LocalStack, folder: Path) -> None:
    """Each command prints the lines that are shown, and each JSON sample has the keys and types of the real answer."""
    run_id = ""
    try:
        for command in read_commands():
            done = _run(stack, folder, command.text.replace("RUN", run_id))
            where = f"README.md:{command.line}: {command.text}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == 0, where
            _compare_lines(command, done.stdout + done.stderr, where)
            if command.answer:
                answer = json.loads(done.stdout)
                assert _find_differences(json.loads(command.answer), answer) == [], where
                run_id = answer.get("run_id", run_id)
    finally:
        _run(stack, folder, "terrarium env destroy try --yes")


def _run(stack: LocalStack, folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    text = text.replace(Settings.model_construct().api_url, stack.settings.api_url)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | stack.variables | {"PATH": programs}
    return subprocess.run(
        ["bash", "-c", text], env=environment, cwd=folder, text=True, capture_output=True, timeout=COMMAND_SECONDS
    )


def _compare_lines(command: Command, printed: str, where: str) -> None:
    found = [_normalise(line) for line in printed.splitlines()]
    missing = [line for line in command.shown if _normalise(line) not in found]
    assert missing == [], where


def _normalise(line: str) -> str:
    """A line without what differs between machines and runs: ids, ports, the width of columns."""
    return " ".join(re.sub(r"\b\d{4,5}\b", "PORT", re.sub(UUID, "ID", line)).split())


def _find_differences(sample: Any, answer: Any, place: str = "answer") -> list[str]:
    """Where the keys or types of a sample are not the answer's. Null stands for a value that is not there yet."""
    if sample is None or answer is None:
        return []
    if type(sample) is not type(answer):
        return [f"{place}: {sample!r} is shown, {answer!r} is answered"]
    if isinstance(sample, dict):
        odd = sorted(sample.keys() ^ answer.keys())
        differences = [f"{place}: the key {key} is only on one side" for key in odd]
        pairs = [(key, sample[key], answer[key]) for key in sample.keys() & answer.keys()]
    elif isinstance(sample, list):
        differences = [] if answer or not sample else [f"{place}: nothing is answered"]
        pairs = [(str(number), *pair) for number, pair in enumerate(zip(sample, answer, strict=False))]
    else:
        return []
    for key, shown, given in pairs:
        differences += _find_differences(shown, given, f"{place}.{key}")
    return differences
