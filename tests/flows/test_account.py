"""An account whose block became another one: a run is refused before its first call that changes anything."""

import uuid
from collections.abc import Iterator

import pytest

from blocks.aws import AwsAccount
from deployments.local.accounts import describe_account
from tests.flow_world import World

OTHER = "999999999999"


@pytest.fixture
def restored(world: World) -> Iterator[World]:
    """The world, whose account is put back as it was."""
    yield world
    _register(world, world.account)


def _register(world: World, account: AwsAccount) -> None:
    world.process.ask("register", account.model_dump(exclude_none=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"account_id": OTHER, "role_arn": f"arn:aws:iam::{OTHER}:role/terrarium"}, f"(emulator {OTHER})"),
        ({"kind": "aws"}, "(aws "),
    ],
)
def test_an_account_of_another_kind_or_number_is_refused(
    restored: World, name: str, change: dict[str, str], told: str
) -> None:
    """The environment was made elsewhere: applying and removing are refused, and nothing changes."""
    version = restored.make(name)
    before = restored.observe(name)
    _register(restored, restored.account.model_copy(update=change))
    for word in ("provision", "teardown"):
        run = restored.run(word, name, version if word == "provision" else None)
        assert (run.status, run.environment_status) == ("refused", None)
        assert f"{name} was made in account {restored.account.name} (emulator " in run.error
        assert told in run.error
        assert restored.steps(run.run_id) == []
    assert (restored.observe(name), restored.status(name)) == (before, "ready")


def test_calls_that_land_in_another_account_are_refused(restored: World, name: str) -> None:
    """The credentials are of another account than the block says: a first run makes nothing either."""
    role = f"arn:aws:iam::{OTHER}:role/terrarium"
    _register(restored, restored.account.model_copy(update={"role_arn": role}))
    run = restored.run("provision", name, restored.add_spec(name))
    assert (run.status, run.environment_status) == ("refused", None)
    assert f"calls land in {OTHER}" in run.error
    assert restored.ledger.read_generation(name) is None
    assert restored.status(name) is None


def test_an_account_is_bootstrapped_by_its_flow(world: World) -> None:
    """Registered, bootstrapped, and again: the buckets, the key and the role are there, and the block knows the key."""
    account_id = f"{uuid.uuid4().int % 10**12:012}"
    name = f"new-{account_id}"
    account = describe_account(world.stack.settings, name, account_id).model_copy(update={"name": name})
    _register(world, account)
    keys = set()
    for _ in range(2):
        answer = world.process.ask("run", "bootstrap", {"account": name, "recovery_region": "eu-west-1"}, None)
        assert answer["state"] == "COMPLETED", answer
        assert account.is_bootstrapped()
        keys.add(world.process.ask("account", name)["kms_key_id"])
    assert len(keys) == 1
    assert keys != {""}
