"""The control of a relay (deployments/local/link.py): where its routes lead, how late it is, and whether it is cut."""

import json
import socket
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.errors import TemporaryError

TIMEOUT_SECONDS = 5.0


class Route(BaseModel):
    """A port that a relay listens on, and the port that it passes on to; None: whoever comes is turned away."""

    model_config = ConfigDict(frozen=True)

    listen: int
    target: int | None


class RelayState(BaseModel):
    """What a relay is told, and keeps in its file. Delay in each direction, in milliseconds.

    `is_cut`: nothing passes and nobody is told, as when a network fails: connections stay open and silent.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    control: Path
    routes: dict[str, Route]
    delay_ms: int = 0
    is_cut: bool = False


def read_relay(control: Path) -> RelayState:
    """What the relay does now. TemporaryError where it does not answer."""
    return RelayState.model_validate(_ask(control, {"do": "read"}))


def switch_route(control: Path, route: str, target: int | None) -> None:
    """Lead a route to another port; its connections to the old one are broken off."""
    _ask(control, {"do": "switch", "route": route, "target": target})


def set_delay(control: Path, delay_ms: int) -> None:
    """Pass on everything so much later, in each direction."""
    _ask(control, {"do": "delay", "delay_ms": delay_ms})


def cut_relay(control: Path) -> None:
    """Let nothing pass any more."""
    _ask(control, {"do": "cut"})


def mend_relay(control: Path) -> None:
    """Let everything pass again, also what waited."""
    _ask(control, {"do": "mend"})


def is_relay_healthy(control: Path) -> bool:
    """It answers."""
    try:
        read_relay(control)
    except TemporaryError:
        return False
    return True


def _ask(control: Path, question: dict[str, Any]) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(str(control))
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile() as lines:
                answer = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise TemporaryError(
            f"The relay at {control} does not answer: {error}",
            "`make status` shows whether it runs; `make up` starts it.",
        ) from error
    return dict(answer)
