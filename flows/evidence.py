"""Evidence: the head of the chain is anchored outside, so that not even the database's owner can change the past."""

from prefect import flow

from tasks.evidence import anchor_chain, read_due


@flow(name="anchor_evidence", flow_run_name="anchor the chain of evidence")
def anchor_evidence(account: str | None = None) -> None:
    """Write the number and hash of the newest event into the vault of an account. Nothing new: nothing is written.

    Args:
        account: Leave it at None for the account of the settings. A name takes the vault of that one.
    """
    for name in read_due(account):
        anchor_chain(name)
