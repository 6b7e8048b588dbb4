"""Logs as JSON: a line is one object that says which run, environment and step it is of."""

import json
import logging
import os
import subprocess
import sys
from datetime import datetime

from blocks.logs import JsonFormatter, list_variables, speaking_of
from blocks.settings import CHECKOUT

PROGRAM = """
from prefect.logging import get_logger
from prefect.logging.configuration import setup_logging
from blocks.logs import speaking_of
setup_logging()
with speaking_of(environment='dev'):
    get_logger('flow_runs').warning('a [red]long[/red] line ' + 'x' * 300)
"""


def write(message: str, *arguments: object, **extra: object) -> dict[str, str]:
    """A record as the formatter writes it."""
    record = logging.LogRecord("terrarium.test", logging.WARNING, __file__, 1, message, arguments, None)
    record.__dict__.update(extra)
    line = JsonFormatter("default", None, "%").format(record)
    assert "\n" not in line
    return dict(json.loads(line))


def test_a_line_has_time_level_logger_and_message() -> None:
    """Times are UTC; what was not said stands in no line."""
    line = write("%s of\n%s é", 1, 2)
    assert (line["level"], line["logger"], line["message"]) == ("warning", "terrarium.test", "1 of\n2 é")
    assert datetime.fromisoformat(line["time"]).utcoffset() is not None
    assert line.keys() == {"time", "level", "logger", "message"}


def test_a_line_says_what_it_is_of() -> None:
    """Run and environment for the whole run, the step while it works; then no more."""
    with speaking_of(run="r1", environment="dev"):
        with speaking_of(step="apply_infrastructure"):
            assert write("x").items() >= {"run": "r1", "environment": "dev", "step": "apply_infrastructure"}.items()
        assert "step" not in write("x")
    assert "run" not in write("x")


def test_prefects_own_words_are_taken_where_we_have_none() -> None:
    """A flow that records no run of ours is named by Prefect; ours win."""
    assert write("x", flow_run_id="r2", task_run_name="t")["run"] == "r2"
    with speaking_of(run="r1"):
        assert write("x", flow_run_id="r2")["run"] == "r1"


def test_an_exception_is_one_line() -> None:
    """With its traceback inside."""
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.LogRecord("t", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    assert "ValueError: no" in json.loads(JsonFormatter().format(record))["exception"]


def test_prefect_writes_so() -> None:
    """By its own variables, in a process of its own: every line on stderr is an object."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= list_variables() | {"PREFECT_LOGGING_TO_API_ENABLED": "false"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=120
    )
    (line,) = [json.loads(text) for text in done.stderr.splitlines()]
    assert (line["environment"], line["message"][:24]) == ("dev", "a [red]long[/red] line x")
