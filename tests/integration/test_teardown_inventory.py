"""A sandbox on AWS's stack, made and removed in an account that was empty: counted before and after, in two ways."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blocks.aws import AwsAccount, state_key
from blocks.environment_files import read_declared
from blocks.inventory import LISTINGS, observe_inventory
from blocks.terraform import Terraform
from domain.infrastructure import terraform_inputs
from domain.inventory import Inventory, compare
from domain.progress import read_event
from domain.remains import classify_remains
from tests.account_count import COUNTED, REGIONS, Count, count_account, open_clients

from .conftest import CHECKOUT, bootstrap, open_account

INFRASTRUCTURE = CHECKOUT / "infra" / "terraform"


@dataclass
class Life:
    """What was counted of the account before, during and after the environment, and the ids in Terraform's stream."""

    account: AwsAccount
    clients: Any
    inventories: list[Inventory] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def count(self) -> None:
        """Count in both ways."""
        self.counts.append(count_account(self.clients))
        self.inventories.append(observe_inventory(self.account, REGIONS, LISTINGS))

    def keep(self, message: dict[str, Any]) -> None:
        """What the journal keeps of Terraform's stream."""
        if (event := read_event(message)) and event.resource_id:
            self.ids.add(event.resource_id)


@pytest.fixture(scope="module")
def life(
    emulator: str, tmp_path_factory: pytest.TempPathFactory, terraform_program: Path, provider_mirror: Path
) -> Life:
    """The sandbox of environments/sandbox.yaml, from nothing and back."""
    account = bootstrap(open_account(emulator, f"{random.randrange(10**11, 10**12)}"))  # noqa: S311 - a name, no secret
    life = Life(account, open_clients(emulator, account.account_id))
    life.count()
    terraform = Terraform(
        tmp_path_factory.mktemp("sandbox"),
        "sandbox",
        program=terraform_program,
        environment=account.environment(),
        mirror=provider_mirror,
    )
    inputs = terraform_inputs(read_declared("sandbox")[1], 1, "run", account.owner())
    terraform.prepare(INFRASTRUCTURE / "stacks" / "aws", inputs, account.terraform_backend(state_key("sandbox")))
    terraform.init()
    terraform.plan(terraform.folder / "plan")
    terraform.apply(terraform.folder / "plan", life.keep)
    life.count()
    terraform.destroy(life.keep)
    life.count()
    return life


def test_account_is_as_before_by_the_inventory(life: Life) -> None:
    """Nothing is missing and nothing is left but the key and the secret, which wait for their deletion."""
    before, ready, after = life.inventories
    assert {one.type for one in compare(before, ready).extra} >= {"aws_kms_key", "aws_sqs_queue", "aws_kms_alias"}
    difference = compare(before, after)
    assert [str(one) for one in difference.extra + difference.missing] == []
    assert sorted(one.type for one in difference.pending) == ["aws_kms_key", "aws_secretsmanager_secret"]


def test_account_is_as_before_by_a_count_of_its_own(life: Life) -> None:
    """boto3's list calls alone say the same."""
    before, ready, after = life.counts
    assert {kind for kind, _, _ in ready.present - before.present} >= {"aws_kms_key", "aws_sqs_queue", "aws_kms_alias"}
    assert before.present <= after.present
    assert after.present - before.present == after.pending
    assert sorted(kind for kind, _, _ in after.pending) == ["aws_kms_key", "aws_secretsmanager_secret"]


def test_every_resource_would_be_noticed_if_it_stayed(life: Life) -> None:
    """By its tag, or where the type has none (an alias) by its id in Terraform's stream."""
    before, ready, _ = life.inventories
    made = compare(before, ready).extra
    assert classify_remains(ready, "sandbox", life.ids).unexpected == made
    by_tag_alone = classify_remains(ready, "sandbox", set()).unexpected
    assert [one.type for one in made if one not in by_tag_alone] == ["aws_kms_alias"]


@pytest.fixture
def late_log_group(life: Life) -> Iterator[str]:
    """What AWS does when a log line arrives after its group was deleted: the group again, without tags."""
    (name,) = [found for kind, _, found in life.counts[1].present if kind == "aws_cloudwatch_log_group"]
    logs = life.clients("logs")
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


def test_what_comes_again_without_tags_is_noticed(life: Life, late_log_group: str) -> None:
    """It has the id of something that a run of this environment removed, perhaps one that was interrupted."""
    found = classify_remains(observe_inventory(life.account, REGIONS, LISTINGS), "sandbox", life.ids)
    assert [(one.type, one.id) for one in found.unexpected] == [("aws_cloudwatch_log_group", late_log_group)]


def test_strangers_are_not_noticed(life: Life) -> None:
    """An environment whose name begins with this one's, and what has no tag, are somebody else's."""
    sqs = life.clients("sqs")
    urls = [
        sqs.create_queue(QueueName=name, tags=tags)["QueueUrl"]
        for name, tags in [("terrarium-sandbox-2", {"environment": "sandbox-2"}), ("terrarium-sandbox-mine", {})]
    ]
    try:
        found = classify_remains(observe_inventory(life.account, REGIONS, LISTINGS), "sandbox", life.ids)
        assert found.unexpected == ()
    finally:
        for url in urls:
            sqs.delete_queue(QueueUrl=url)


def test_the_count_knows_every_type_of_the_stack() -> None:
    """A type that is new in the HCL has to be counted, or said to be a setting of one that is."""
    files = [path for part in ("stacks/aws", "modules/aws") for path in (INFRASTRUCTURE / part).rglob("*.tf")]
    types = {kind for path in files for kind in re.findall(r'^resource "(aws_\w+)"', path.read_text(), re.MULTILINE)}
    assert len(types) > 30
    assert types <= COUNTED
