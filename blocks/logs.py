"""Logs as JSON, a line for each record: time, level, logger, message, and which run, environment and step it is of.

Prefect and uvicorn make this formatter by its name; nothing here imports them.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_about: ContextVar[Mapping[str, str]] = ContextVar("about")
#: What Prefect's own loggers say of a record, where nothing of ours does.
_PREFECTS = {"run": "flow_run_id", "task": "task_run_name", "flow": "flow_name"}
NAME = f"{__name__}.JsonFormatter"


@contextmanager
def speaking_of(**fields: str) -> Iterator[None]:
    """Every record that is written within carries these fields."""
    token = _about.set({**_about.get({}), **fields})
    try:
        yield
    finally:
        _about.reset(token)


class JsonFormatter(logging.Formatter):
    """One object on one line. The arguments of `logging.config` are taken and have no effect."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        prefects = {ours: getattr(record, theirs, None) for ours, theirs in _PREFECTS.items()}
        line |= {name: str(value) for name, value in prefects.items() if value}
        line |= _about.get({})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def list_variables() -> dict[str, str]:
    """The environment that makes a process of Prefect's write its logs so."""
    return {
        "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": NAME,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
        "PREFECT_LOGGING_COLORS": "false",
    }


def write_json() -> None:
    """Have this process write its logs so: the root's and uvicorn's."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
