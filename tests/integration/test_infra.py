"""The stacks as they are shipped, with real Terraform: made, found unchanged, removed, and told to fail."""

import json
from pathlib import Path
from typing import Any

import pytest

from blocks.aws import AwsAccount, state_key
from blocks.terraform import Terraform
from domain.errors import TerrariumError

from .conftest import CHECKOUT

STACKS = CHECKOUT / "infra" / "terraform" / "stacks"
INPUTS = Path(__file__).parent / "infra"
ALWAYS = {"key", "logs"}


def read_inputs(name: str, account: AwsAccount, **changed: Any) -> dict[str, Any]:
    """The sample inputs of a class, for this account and its region."""
    place = {
        "id": account.account_id,
        "role_arn": account.role_arn,
        "state_bucket": account.state_bucket,
        "vault_bucket": account.vault_bucket,
    }
    sample = json.loads((INPUTS / f"{name}.tfvars.json").read_text())
    return sample | {"account": place, "region": account.region, "recovery_region": "eu-west-1"} | changed


@pytest.fixture
def aws(tmp_path: Path, account: AwsAccount, terraform_program: Path, provider_mirror: Path) -> Terraform:
    """Terraform for an AWS stack on the emulator."""
    return Terraform(
        tmp_path / "work",
        "environment sandbox",
        program=terraform_program,
        environment=account.environment(),
        mirror=provider_mirror,
    )


@pytest.fixture
def rehearsed(tmp_path: Path, account: AwsAccount, terraform_program: Path) -> Terraform:
    """Terraform for the stack without a cloud, its state in the emulator's S3."""
    return Terraform(
        tmp_path / "work", "environment production", program=terraform_program, environment=account.environment()
    )


def prepare(terraform: Terraform, stack: str, inputs: dict[str, Any], account: AwsAccount) -> None:
    """A stack in its work folder, connected to the account's state."""
    terraform.prepare(STACKS / stack, inputs, account.terraform_backend(state_key(inputs["environment"])))
    terraform.init()


def plan_and_apply(terraform: Terraform, plan_file: Path) -> dict[str, Any]:
    """Make what the inputs say; the outputs."""
    terraform.plan(plan_file)
    terraform.apply(plan_file)
    return terraform.outputs()


@pytest.mark.timeout(300)
def test_sandbox_on_aws_is_made_found_unchanged_and_removed(
    tmp_path: Path, aws: Terraform, account: AwsAccount
) -> None:
    """A second plan is empty, everything carries the environment's tag, and destroy leaves nothing in the state."""
    inputs = read_inputs("sandbox", account)
    prepare(aws, "aws", inputs, account)
    try:
        outputs = plan_and_apply(aws, tmp_path / "plan")
        assert outputs["parts"].keys() == ALWAYS | {"queue", "dead_letters", "secrets"}
        assert outputs["secret_names"] == {"session-key": "terrarium/sandbox/session-key-g1"}
        assert not aws.plan(tmp_path / "again").has_changes
        secret = account.client("secretsmanager").describe_secret(SecretId="terrarium/sandbox/session-key-g1")
        assert {tag["Key"]: tag["Value"] for tag in secret["Tags"]} == inputs["tags"]
    finally:
        aws.destroy()
    assert (account.read_state("sandbox") or {})["resources"] == []


def test_terraform_data_makes_every_part_of_production(
    tmp_path: Path, rehearsed: Terraform, account: AwsAccount
) -> None:
    """The same inputs give the same parts without a cloud; a second plan is empty; destroy removes them."""
    inputs = read_inputs("production", account)
    prepare(rehearsed, "terraform_data", inputs, account)
    outputs = plan_and_apply(rehearsed, tmp_path / "plan")
    assert len(outputs["parts"]) == 17
    assert all(outputs["endpoints"].values())
    assert not rehearsed.plan(tmp_path / "again").has_changes
    rehearsed.destroy()
    assert (account.read_state("production") or {})["resources"] == []


def test_terraform_data_has_only_the_parts_that_are_asked_for(
    tmp_path: Path, rehearsed: Terraform, account: AwsAccount
) -> None:
    """A sandbox's nulls leave their parts out, as on AWS."""
    prepare(rehearsed, "terraform_data", read_inputs("sandbox", account), account)
    outputs = plan_and_apply(rehearsed, tmp_path / "plan")
    assert outputs["parts"].keys() == ALWAYS | {"queue", "dead_letters", "secrets"}
    assert outputs["endpoints"]["database"] is None
    assert "dns_zone" not in outputs


def test_rehearsed_failure_stops_there_and_the_next_apply_continues(
    tmp_path: Path, rehearsed: Terraform, account: AwsAccount
) -> None:
    """Told to fail, the database keeps what needs it from being made; without that order the next apply makes all."""
    failing = {"fail": ["database"], "slow_seconds": {"database": 0.1}}
    prepare(rehearsed, "terraform_data", read_inputs("production", account, rehearsal=failing), account)
    with pytest.raises(TerrariumError, match="rehearsed failure of database"):
        plan_and_apply(rehearsed, tmp_path / "plan")
    made = {row["name"] for row in (account.read_state("production") or {})["resources"]}
    assert {"network", "key"} <= made
    assert "database_replica" not in made
    prepare(rehearsed, "terraform_data", read_inputs("production", account), account)
    assert len(plan_and_apply(rehearsed, tmp_path / "next")["parts"]) == 17
