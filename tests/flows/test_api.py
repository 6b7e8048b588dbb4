"""The API's own process on the real ledger and the real Prefect: many callers at once, and accounts as blocks."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from blocks.account_blocks import AccountBlocks
from deployments.catalog import WORK_POOL
from domain.account import Account
from tests.flow_world import World

CALLS, AT_ONCE = 100, 16


@pytest.fixture
def resting_worker(world: World) -> Iterator[None]:
    """Nobody takes a run from the queue; what a test leaves there is removed."""
    address = f"{world.prefect.url}/work_pools/{WORK_POOL}"
    httpx.patch(address, json={"is_paused": True}, trust_env=False).raise_for_status()
    try:
        yield
    finally:
        httpx.patch(address, json={"is_paused": False}, trust_env=False).raise_for_status()


def find_runs(world: World, tag: str) -> dict[str, str]:
    """The runs in Prefect with a name's beginning in their tags: id to environment."""
    found: dict[str, str] = {}
    while page := world.ask_prefect("/flow_runs/filter", offset=len(found), limit=200, sort="ID_DESC"):
        found |= {row["id"]: (row["parameters"] or {}).get("environment", "") for row in page}
    return {run_id: name for run_id, name in found.items() if name.startswith(tag)}


@pytest.mark.usefixtures("resting_worker")
def test_a_hundred_creations_at_once_are_a_hundred_runs(world: World, name: str) -> None:
    """16 callers, each call sent twice under its key: none is lost, none doubled, none turned away."""
    spec = "class: sandbox\ncloud: terraform_data\nowner: a@travelblog.example\ncost_centre: TB-1\ndata:\n  queue: {}\n"
    tag = name[:12]
    names = [f"{tag}-{number}" for number in range(CALLS)]

    def create(wanted: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {world.stack.token}", "Idempotency-Key": f"creation of {wanted}"}
        answer = client.post("/api/environments", json={"spec": f"name: {wanted}\n{spec}"}, headers=headers)
        return answer.status_code, answer.json().get("run_id", answer.text)

    try:
        with (
            httpx.Client(base_url=world.stack.settings.api_url, timeout=60, trust_env=False) as client,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            answers = list(pool.map(create, names * 2))
        assert Counter(code for code, _ in answers) == {202: 2 * CALLS}
        assert answers[:CALLS] == answers[CALLS:]
        assert find_runs(world, tag) == dict(zip([run_id for _, run_id in answers], names, strict=False))
    finally:
        for run_id in find_runs(world, tag):
            httpx.delete(f"{world.prefect.url}/flow_runs/{run_id}", trust_env=False)


def test_an_account_is_registered_where_flows_look_for_it(world: World, name: str) -> None:
    """What the console saves by Prefect's REST API is the block that a flow loads; a change is a change of that one."""
    accounts = AccountBlocks(world.prefect)
    described = {key: value for key, value in world.account.model_dump().items() if key in Account.model_fields}
    account = Account.model_validate(described | {"name": name})
    accounts.save_account(account)
    changed = account.model_copy(update={"vault_bucket": "another-bucket"})
    accounts.save_account(changed)
    assert [one for one in accounts.list_accounts() if one.name == name] == [changed]
    accounts.save_account(account)
    version = world.add_spec(f"{name[:15]}-a", account=name, data={"queue": {}})
    assert world.run("provision", f"{name[:15]}-a", version).status == "succeeded"
