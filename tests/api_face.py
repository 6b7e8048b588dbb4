"""A client of the API and the world behind it, for the tests that ask the API over HTTP."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from httpx import Client, Response

from blocks.ledger import Ledger
from blocks.settings import Settings
from console.api import create_app
from console.sources import Sources
from domain.access import Role, hash_token
from domain.changes import Counts
from domain.status import EnvironmentStatus, RunStatus
from tests.api_server import TOKEN, serve
from tests.fakes import FakePrefect

ROOT = Path(__file__).parents[1]
TRY = "name: try\nclass: sandbox\nowner: a@travelblog.example\ncost_centre: TB-100\ndata:\n  queue: {}\n"


class Face:
    """A client of the API with its token, and the world behind it."""

    def __init__(self, sources: Sources, prefect: FakePrefect, url: str) -> None:
        self.sources, self.ledger, self.prefect = sources, sources.ledger, prefect
        self.url = url
        self.client = self.call_as(TOKEN)

    def call_as(self, token: str) -> Client:
        """A client that brings a token."""
        return Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30)

    def give_token(self, name: str, role: Role = Role.ADMINISTRATOR, ends_in: timedelta | None = None) -> Client:
        """A client of somebody else."""
        token = f"a-token-of-{name}-that-is-long-enough"
        expires_at = self.sources.read_clock() + ends_in if ends_in else None
        self.ledger.add_token(name, hash_token(token), role, expires_at, "tests")
        return self.call_as(token)

    def create(self, spec: str = TRY, **fields: Any) -> dict[str, Any]:
        """Ask for an environment."""
        return self.read(self.client.post("/api/environments", json={"spec": spec, **fields}), 202)

    def read(self, answer: Response, status_code: int = 200) -> dict[str, Any]:
        """The JSON of an answer with this status."""
        assert answer.status_code == status_code, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, status_code: int = 200) -> dict[str, Any]:
        """Read an address."""
        return self.read(self.client.get(path), status_code)

    def post(self, path: str, body: dict[str, Any] | None = None, status_code: int = 202) -> dict[str, Any]:
        """Ask at an address."""
        return self.read(self.client.post(path, json=body or {}), status_code)

    def begin(self, run: dict[str, Any]) -> None:
        """What a flow does first."""
        flow_run = self.prefect.runs[run["run_id"]]
        request = self.ledger.read_request(flow_run.idempotency_key or "")
        assert request is not None
        self.prefect.enter(run["run_id"], RunStatus.RUNNING)
        where = (request.id, request.actor, socket.gethostname(), os.getpid())
        version = request.spec_version
        self.ledger.begin_run(run["run_id"], run["environment"], request.operation, "flow", version, *where)

    def make(self, spec: str = TRY) -> dict[str, Any]:
        """An environment that is ready, and the run that made it."""
        run = self.create(spec)
        self.begin(run)
        self.ledger.open_generation(run["environment"], run["run_id"], "nonproduction", "emulator")
        report = {"resources": 5}
        counts = Counts(add=5)
        self.ledger.finish_run(run["run_id"], RunStatus.SUCCEEDED, EnvironmentStatus.READY, counts, report)
        self.prefect.enter(run["run_id"], RunStatus.SUCCEEDED)
        return run


def record_token(ledger: Ledger) -> None:
    """Put the token of the tests on record."""
    ledger.add_token("operator", hash_token(TOKEN), Role.ADMINISTRATOR, None, "stack")


@contextmanager
def open_face(ledger: Ledger, **settings: Any) -> Iterator[Face]:
    """An API on an empty ledger, which knows the token of an administrator."""
    prefect = FakePrefect()
    sources = Sources(ledger, prefect, prefect, "http://prefect.example", ROOT / "environments")
    record_token(ledger)
    with serve(create_app(sources, Settings(**settings))) as url:
        yield Face(sources, prefect, url)
