"""Register an account on a stack's emulator with what a bootstrap would make, by a few calls instead of a minute.

A process of its own with the stack's environment, because Prefect reads that at its import.
"""

from blocks.settings import read_settings
from deployments.local.accounts import describe_account, load_known
from tests.integration.conftest import bootstrap

# Not the number that `make up` gives: a bootstrap that follows makes buckets of its own.
ACCOUNT_ID = "333333333333"


def create_account(name: str) -> None:
    """Make the key and the buckets and save the block, where there is no account of that name that has them."""
    known = load_known(name)
    if known is None or not known.is_bootstrapped():
        bootstrap(describe_account(read_settings(), name, ACCOUNT_ID)).save(name, overwrite=True)


if __name__ == "__main__":
    create_account("nonproduction")
