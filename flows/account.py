"""Accounts: what one needs before its first environment is made by HCL of its own."""

from prefect import flow

from tasks.account import bootstrap_known_account


@flow(name="bootstrap_account", flow_run_name="bootstrap account {account}")
def bootstrap_account(account: str, recovery_region: str) -> None:
    """Make an account's state bucket, vault bucket, key and role. What is made already stays.

    Args:
        account: Name of the account, as `terrarium account list` shows it.
        recovery_region: The second region that its environments may use, such as eu-west-1.
    """
    bootstrap_known_account(account, recovery_region)
