"""What an account needs before its first environment, made by HCL of its own: state bucket, vault, key and role."""

import shutil
from pathlib import Path
from typing import Any

from prefect import task

from blocks.aws import AwsAccount
from blocks.settings import CHECKOUT, read_settings
from blocks.terraform import Terraform
from blocks.terraform_binary import find_provider_mirror, find_terraform
from domain.errors import PermanentError
from domain.state import read_outputs
from tasks.outcome import load_account
from tasks.retry import REPEATABLE

BOOTSTRAP = CHECKOUT / "infra" / "terraform" / "bootstrap" / "aws"
BACKEND = 'terraform {\n  backend "s3" {}\n}\n'
PLAN_FILE = "bootstrap.tfplan"
STATE_KEY = "bootstrap/terraform.tfstate"


@task(**REPEATABLE)
def bootstrap_known_account(name: str, recovery_region: str) -> dict[str, Any]:
    """Bootstrap the account of that name, and keep in its block what was made. Again: what is there stays.

    It has no undo: environments may already stand on it.
    """
    account = load_account(name)
    folder = read_settings().state_dir / "bootstrap" / name
    made = bootstrap_account(act_before_role(account), recovery_region, folder)
    account.model_copy(update={"kms_key_id": made.kms_key_id}).save(name, overwrite=True)
    shutil.rmtree(folder, ignore_errors=True)
    return {"account": name, "kms_key_id": made.kms_key_id}


def act_before_role(account: AwsAccount) -> AwsAccount:
    """The account as who bootstraps it sees it: on AWS the role is not there yet, the caller's own identity acts."""
    return account.model_copy(update={"role_arn": ""}) if account.kind == "aws" else account


def bootstrap_account(account: AwsAccount, recovery_region: str, folder: Path) -> AwsAccount:
    """The account with its buckets, key and role made. What is made already stays; an interrupted run is continued.

    Until the state of the bootstrap has moved into the bucket that it made, it is kept in `folder`. PermanentError
    where buckets of these names are there and no state of ours says that we made them.
    """
    terraform = _prepare(account, recovery_region, folder)
    backend = terraform.folder / "backend.tf"
    if (state := account.find_state(STATE_KEY)) is None:
        if account.is_bootstrapped() and not (terraform.folder / "terraform.tfstate").exists():
            raise PermanentError(
                f"account {account.name}: {account.state_bucket} is there, but no state says that we made it.",
                f"Give another bucket name, or put the bootstrap's state back under {STATE_KEY}.",
            )
        backend.unlink(missing_ok=True)
        terraform.init()
        terraform.plan(terraform.folder / PLAN_FILE)
        terraform.apply(terraform.folder / PLAN_FILE)
        backend.write_text(BACKEND)
        terraform.init(has_local_state=True)
        state = terraform.pull_state()
    return account.model_copy(update={"kms_key_id": read_outputs(state)["kms_key_id"]})


def _prepare(account: AwsAccount, recovery_region: str, folder: Path) -> Terraform:
    settings = read_settings()
    terraform = Terraform(
        folder,
        account.name,
        program=find_terraform(settings.terraform_path, settings.terraform_version),
        environment=account.environment(),
        mirror=find_provider_mirror(settings.provider_mirror),
    )
    inputs = {"account": account.owner().model_dump(), "region": account.region, "recovery_region": recovery_region}
    terraform.prepare(BOOTSTRAP, inputs, account.terraform_backend(STATE_KEY))
    return terraform
