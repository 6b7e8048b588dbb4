"""The `terrarium` command and its surroundings: no stack, no token, an API that is away, a terminal, Ctrl-C."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from blocks.settings import read_settings
from console.cli import run
from tests.unit.test_cli import QUEUED, ROOT, RUN, TOKEN, ScriptedApi, api, golden

__all__ = ["api"]  # the fixture


def test_an_api_that_is_away_for_a_moment_is_waited_for(api: ScriptedApi) -> None:
    """A run outlives a restart of the API, and so does the command that waits for it."""
    away = golden("error") | {"error": golden("error")["error"] | {"kind": "unavailable"}}
    api.on("POST", "/api/environments", QUEUED, code=202)
    api.answers["GET", RUN] = [(503, away), (503, away), (200, golden("run"))]
    assert run(["env", "apply", "dev", "--yes"]) == 0


def test_a_stack_that_is_not_up_is_named_with_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No token: no stack was started here. No answer: the API is down. Both say `make up`."""
    monkeypatch.setenv("TERRARIUM_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TERRARIUM_API_PORT", "9")
    read_settings.cache_clear()
    assert run(["env", "list"]) == 1
    assert "make up" in capsys.readouterr().err
    (tmp_path / "token").write_text(TOKEN)
    assert run(["env", "list", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "unavailable"
    assert run(["status", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["is_up"] is False
    read_settings.cache_clear()


def test_doctor_tells_what_to_do_about_each_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token that others can read, a mirror that is none and a stack that is down are findings, each with its way."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o644)
    monkeypatch.setenv("TERRARIUM_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TERRARIUM_PROVIDER_MIRROR", str(tmp_path))
    read_settings.cache_clear()
    assert run(["doctor", "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    found = {check["summary"]: check for check in answer["findings"] if not check["ok"]}
    assert not answer["ok"]
    assert {"state folder", "provider", "stack"} <= found.keys()
    assert all(check["resolution"] for check in found.values())
    assert run(["doctor"]) == 3
    assert "chmod 600" in capsys.readouterr().out
    read_settings.cache_clear()


@pytest.mark.parametrize(
    ("columns", "detail"),
    [
        (200, "about 1 min 20 s left (1 min 0 s to 2 min 0 s), slowest aws_db_instance.main 34 s"),
        (80, "about 1"),
    ],
)
def test_a_terminal_sees_a_bar(api: ScriptedApi, columns: int, detail: str) -> None:
    """On a terminal counts, time left with its range and slowest resource stand beside a bar, as far as they fit."""
    api.on("POST", "/api/environments", QUEUED, code=202)
    api.on("GET", RUN, *[golden("run_with_progress")] * 4, golden("run"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-c", "from console.cli import main; main()", "env", "apply", "dev", "--yes"]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        shown = b"".join(_read_terminal(ours)).decode()
        assert process.stdout is not None
        told = process.stdout.read()
    assert process.returncode == 0, shown
    assert "succeeded" in told
    assert "12/50" in shown
    assert detail in shown


def _read_terminal(descriptor: int) -> Iterator[bytes]:
    """What is written to a terminal until its last writer is gone, which Linux tells as an error."""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal, suppress(OSError):
        while chunk := terminal.read(4096):
            yield chunk


def test_an_answer_loads_nothing_heavy(api: ScriptedApi) -> None:
    """`env list` answers within a fraction of a second, because these stay out of its way."""
    api.on("GET", "/api/environments", golden("environments"))
    heavy = {"prefect", "fastapi", "httpx", "sqlalchemy", "boto3", "rich"}
    program = (
        f"import sys; from console.cli import run; run(['env', 'list']); sys.exit(str({heavy} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "staging" in ended.stdout
    assert ended.stderr.strip() == "set()"


def test_leaving_says_that_the_run_goes_on(api: ScriptedApi, tmp_path: Path) -> None:
    """Ctrl-C ends the command with 130 and nothing else; a closed proxy of the user's has no say."""
    api.on("POST", "/api/environments", QUEUED, code=202)
    api.on("GET", RUN, golden("run", status="running"))
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", "from console.cli import main; main()", "env", "apply", "dev", "--yes"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "running" in process.stderr.readline() + process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "The run goes on" in rest
    assert "terrarium runs cancel" in rest
    assert not any("cancel" in call[1] for call in api.calls)
