"""Register an account on a stack's emulator that has a state bucket and nothing else: enough for a rehearsal.

A process of its own with the stack's environment, because Prefect reads that at its import.
"""

from blocks.settings import read_settings
from deployments.local.accounts import REGION, describe_account, load_known

# Not the number that `make up` gives: a bootstrap that follows makes buckets of its own.
ACCOUNT_ID = "333333333333"


def create_account(name: str) -> None:
    """Make the bucket and save the block, where no account of that name is registered."""
    if load_known(name) is not None:
        return
    account = describe_account(read_settings(), name, ACCOUNT_ID)
    place = {"LocationConstraint": REGION}
    account.client("s3").create_bucket(Bucket=account.state_bucket, CreateBucketConfiguration=place)
    account.save(name)


if __name__ == "__main__":
    create_account("nonproduction")
