"""Bootstrap new accounts on a stack's emulator and register their blocks; prints them as a JSON list.

`python -m tests.bench.prepare_accounts ID …`, as a process of its own with the stack's environment: Prefect reads that
at its import.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from blocks.aws import AwsAccount
from blocks.settings import read_settings
from deployments.local.accounts import RECOVERY_REGION, describe_account
from tasks.account import bootstrap_account


def _prepare(account_id: str) -> AwsAccount:
    settings = read_settings()
    account = describe_account(settings, f"bench-{account_id}", account_id)
    return bootstrap_account(account, RECOVERY_REGION, settings.state_dir / "bootstrap" / account.name)


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        accounts = list(pool.map(_prepare, sys.argv[1:]))
    for account in accounts:
        account.save(account.name, overwrite=True)
    json.dump([account.model_dump(mode="json") for account in accounts], sys.stdout)
