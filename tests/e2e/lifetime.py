"""The life of a temporary environment, lived in the background while other tests run, as somebody at curl sees it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Any

import httpx

from tests.e2e.user import REHEARSAL, User
from tests.polling import wait_for

NAME = "brief"
WARNING = f"{NAME} expires at"
EXTENSION_MINUTES = 1
#: A minute until the schedule looks again, and what a run takes on a busy machine.
TICK_SECONDS = 150


@dataclass(frozen=True)
class Lifetime:
    """What was answered and seen, in its order."""

    answered: dict[str, Any]
    answer_head: str
    expires_at: datetime
    warning: dict[str, Any]
    extended_to: datetime
    was_there_at_first_end: bool
    runs: list[dict[str, Any]]
    status: str


def live(user: User, is_over: Event) -> Lifetime:
    """Make it by curl, wait for the warning, extend it, and wait until it is gone; given up when the tests are over."""

    def wait(claim: str, read: Callable[[], Any]) -> Any:
        def read_or_leave() -> Any:
            assert not is_over.wait(0.5), "the tests are over"
            return read()

        return wait_for(claim, read_or_leave, TICK_SECONDS)

    _resume_schedule(user)
    spec = REHEARSAL.format(name=NAME) + "ttl: 2m\nttl_warning: 1m\n"
    head, _, body = user.curl("/api/environments", {"spec": spec}, "-i").out.partition("\n\n")
    wait("it is ready", lambda: _read(user)["status"] == "ready")
    expires_at = datetime.fromisoformat(_read(user)["expires_at"])
    warning = wait("it warns", lambda: _find_warning(user))
    answer = user.terrarium(
        "env", "extend", NAME, f"{EXTENSION_MINUTES}m", "--reason", "one more look", "--json"
    ).answer
    extended_to = datetime.fromisoformat(answer["expires_at"])
    wait("its first end passes", lambda: datetime.now(expires_at.tzinfo) > expires_at)
    was_there = _read(user)["status"] == "ready"
    wait("it is destroyed", lambda: _read(user)["status"] == "destroyed")
    runs = user.terrarium("runs", "list", "--environment", NAME, "--json").answer["runs"]
    return Lifetime(
        json.loads(body), head, expires_at, warning, extended_to, was_there, runs, status=_read(user)["status"]
    )  # fmt: skip


def _read(user: User) -> dict[str, Any]:
    return user.read_environment(NAME)


def _find_warning(user: User) -> dict[str, Any] | None:
    """The line in the log of the schedule's run that warns about this environment."""
    wanted = {"logs": {"level": {"ge_": 30}}, "sort": "TIMESTAMP_DESC", "limit": 50}
    lines = httpx.post(f"{user.stack.settings.prefect_api_url}/logs/filter", json=wanted, trust_env=False).json()
    return next((line for line in lines if line["message"].startswith(WARNING)), None)


def _resume_schedule(user: User) -> None:
    """Tests of the flows stop the schedule, so that they can run it when they want it."""
    api = user.stack.settings.prefect_api_url
    with httpx.Client(base_url=api, trust_env=False) as client:
        found = client.get("/deployments/name/keep_house/housekeeping").json()
        client.patch(f"/deployments/{found['id']}", json={"paused": False}).raise_for_status()
