"""`python -m deployments`: what comes before the first run of a stack that is not `make up`'s own, on real servers."""

import subprocess
import sys

import httpx

from blocks.settings import CHECKOUT
from deployments.catalog import DEFAULT, DEPLOYMENTS, UNLIMITED, WORK_POOL
from deployments.local.credentials import Credentials
from deployments.local.environment import database_url
from deployments.local.layout import Layout
from tests.stack import LocalStack


def run(stack: LocalStack, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The command with a stack's environment and some more variables."""
    command = [sys.executable, "-m", "deployments", *arguments]
    environment = stack.environment | variables
    return subprocess.run(command, env=environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=120)


def test_migrate_brings_the_ledger_up_to_date(stack: LocalStack) -> None:
    """As its owner, and again without a change; it tells the revision."""
    credentials = Credentials.model_validate_json(Layout(stack.settings.state_dir).credentials.read_text())
    owner = database_url(stack.settings, "terrarium_owner", credentials.ledger_owner)
    first, second = (run(stack, "migrate", TERRARIUM_LEDGER_OWNER_URL=owner) for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("The ledger is at revision ")
    assert second.stdout == first.stdout


def test_migrate_needs_the_owner(stack: LocalStack) -> None:
    """The application's role cannot migrate, and no default says who could."""
    done = run(stack, "migrate")
    assert done.returncode == 1
    assert "Set TERRARIUM_LEDGER_OWNER_URL" in done.stderr


def test_register_again_changes_nothing(stack: LocalStack) -> None:
    """`make up` registered the same deployments in a pool of the same type."""
    done = run(stack, "register", "--pool", "process")
    assert (done.returncode, done.stdout) == (0, "Deployments registered: all were there.\n")


def test_registering_sets_the_limit_of_the_queue(stack: LocalStack) -> None:
    """What people ask for waits behind the setting's number; housekeeping has a queue without a limit."""
    prefect = httpx.Client(base_url=stack.settings.prefect_api_url, trust_env=False)
    try:
        assert run(stack, "register", TERRARIUM_RUNS_AT_ONCE="3").returncode == 0
        queues = {name: prefect.get(f"/work_pools/{WORK_POOL}/queues/{name}").json() for name in (DEFAULT, UNLIMITED)}
        assert [queues[name]["concurrency_limit"] for name in (DEFAULT, UNLIMITED)] == [3, None]
    finally:
        run(stack, "register")
    rows = prefect.post("/deployments/filter", json={}).json()
    queues = {row["name"]: row["work_queue_name"] for row in rows}
    assert (queues["housekeeping"], queues["provision"]) == (UNLIMITED, DEFAULT)


def test_what_is_no_longer_scheduled_loses_its_schedule(stack: LocalStack) -> None:
    """As an earlier version registered it; what is scheduled keeps its one."""
    prefect = httpx.Client(base_url=stack.settings.prefect_api_url, trust_env=False)
    swept = prefect.get("/deployments/name/sweep_runs/sweep").json()["id"]
    prefect.post(f"/deployments/{swept}/schedules", json=[{"schedule": {"interval": 60}}]).raise_for_status()
    rows = prefect.post("/deployments/filter", json={}).json()
    for row in rows:
        prefect.patch(f"/deployments/{row['id']}", json={"version": "of before"}).raise_for_status()
    assert run(stack, "register").returncode == 0
    rows = prefect.post("/deployments/filter", json={}).json()
    scheduled = {row["name"]: len(row["schedules"]) for row in rows if row["schedules"]}
    assert scheduled == {deployed.name: 1 for deployed in DEPLOYMENTS if deployed.schedule}


def test_a_pool_keeps_its_type(stack: LocalStack) -> None:
    """Refused, with both types and the way out; nothing is changed."""
    done = run(stack, "register", "--pool", "kubernetes", "--image", "terrarium:none")
    assert done.returncode == 1
    assert "The work pool terrarium is of type process" in done.stderr
    assert run(stack, "register").stdout == "Deployments registered: all were there.\n"


def test_register_waits_for_prefect(stack: LocalStack) -> None:
    """Where nothing answers, it ends after the time that the setting gives, and names the address."""
    elsewhere = {"TERRARIUM_PREFECT_SERVER_URL": "http://127.0.0.1:9", "TERRARIUM_START_TIMEOUT_SECONDS": "1"}
    done = run(stack, "register", **elsewhere)
    assert done.returncode == 1
    assert "Prefect at http://127.0.0.1:9/api has not answered for 1 seconds." in done.stderr
