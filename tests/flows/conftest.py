"""The fixtures of the flows' tests: the world that they run in, and a name that is free in it."""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine

from blocks.ledger import open_ledger
from blocks.prefect_api import PrefectApi
from deployments.local.credentials import Credentials
from deployments.local.environment import database_url
from deployments.local.layout import Layout
from tests.flow_faults import Faults
from tests.flow_world import FlowProcess, World, pause_schedule
from tests.integration.conftest import bootstrap, open_account
from tests.stack import LocalStack

SCHEDULED = ("housekeeping", "due-backups")


@pytest.fixture(scope="session")
def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The stack with an account and a warm process. The schedules rest: tests run what they want, when they want it."""
    environment, settings = stack.environment, stack.settings
    credentials = Credentials.model_validate_json(Layout(settings.state_dir).credentials.read_text())
    owner = create_engine(
        database_url(settings, "terrarium_owner", credentials.ledger_owner),
        pool_pre_ping=True,  # a test restarts PostgreSQL
    )
    process = FlowProcess(environment, tmp_path_factory.mktemp("flows") / "log")
    prefect = PrefectApi(settings.prefect_api_url)
    for scheduled in SCHEDULED:
        pause_schedule(prefect, scheduled, is_paused=True)
    try:
        with open_ledger(environment["TERRARIUM_LEDGER_URL"]) as ledger, Faults(owner) as faults:
            account = bootstrap(open_account(settings.emulator_url, f"{uuid.uuid4().int % 10**12:012}"))
            process.ask("register", account.model_dump(exclude_none=True))
            yield World(stack, account, ledger, prefect, faults, process)
    finally:
        process.kill()
        for scheduled in SCHEDULED:
            pause_schedule(prefect, scheduled, is_paused=False)


@pytest.fixture
def name() -> str:
    """A name that no other environment has."""
    return f"t-{uuid.uuid4().hex[:10]}"
