"""What `up` makes when the servers are healthy: the emulator's accounts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from blocks.settings import Settings
from deployments.local.accounts import ACCOUNT_IDS, prepare_account


def bootstrap_accounts(settings: Settings, report: Callable[[str], None]) -> None:
    """Bootstrap and register each account that is not there yet, or that the emulator forgot.

    Side by side: Terraform spends most of the minute that one takes on waiting.
    """
    with ThreadPoolExecutor() as threads:
        made = threads.map(lambda account: prepare_account(settings, *account), ACCOUNT_IDS.items())
        for (name, account_id), is_new in zip(ACCOUNT_IDS.items(), made, strict=True):
            if is_new:
                report(f"account {name} ({account_id}) bootstrapped.")
