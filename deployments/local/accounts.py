"""The two accounts of the local stack, both on the emulator: registered as blocks, bootstrapped by their HCL."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from blocks.aws import AwsAccount
from blocks.settings import Settings
from tasks.account import STATE_KEY, bootstrap_account

REGION = "eu-central-1"
RECOVERY_REGION = "eu-west-1"
ACCOUNT_IDS = {"nonproduction": "111111111111", "production": "222222222222"}


def describe_account(settings: Settings, name: str, account_id: str) -> AwsAccount:
    """An account of the emulator, by the names that the bootstrap gives its buckets."""
    return AwsAccount(
        name=name,
        account_id=account_id,
        role_arn=f"arn:aws:iam::{account_id}:role/terrarium",
        region=REGION,
        kind="emulator",
        endpoint_url=settings.emulator_url,
        state_bucket=f"terrarium-state-{account_id}-{REGION}",
        vault_bucket=f"terrarium-vault-{account_id}-{REGION}",
    )


def prepare_accounts(settings: Settings, report: Callable[[str], None]) -> None:
    """Bootstrap the accounts that are not ready, and register their blocks.

    Side by side, because one takes 75 s: a minute of it is the AWS provider waiting for S3's lifecycle rules.
    """
    described = [describe_account(settings, name, account_id) for name, account_id in ACCOUNT_IDS.items()]
    unready = [account for account in described if not _is_ready(account)]
    if unready:
        names = ", ".join(account.name for account in unready)
        report(f"Bootstrapping the accounts {names}, side by side: about 80 s.")
    with ThreadPoolExecutor(len(ACCOUNT_IDS)) as pool:
        folder = settings.state_dir / "bootstrap"
        made = [pool.submit(bootstrap_account, it, RECOVERY_REGION, folder / it.name) for it in unready]
    for account in made:
        account.result().save(account.result().name, overwrite=True)
        shutil.rmtree(folder / account.result().name)


def _is_ready(account: AwsAccount) -> bool:
    known = load_known(account.name)
    is_same = known is not None and known.endpoint_url == account.endpoint_url and bool(known.kms_key_id)
    return is_same and account.find_state(STATE_KEY) is not None


def load_known(name: str) -> AwsAccount | None:
    """The account block of that name, None where nobody registered it."""
    try:
        found = AwsAccount.load(name)
    except ValueError:  # Prefect's word for a block that nobody registered
        return None
    return found if isinstance(found, AwsAccount) else None
