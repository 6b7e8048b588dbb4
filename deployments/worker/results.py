"""Where results are kept: nowhere. Prefect's engine asks its server for a place three times as a run begins.

What a run found out is in the ledger, and a task of ours that is tried again begins anew. So a default that somebody
sets on the server has no say, and no answer of a task can be left there.
"""

import prefect.results


def install() -> None:
    """For every run of this process."""
    prefect.results._read_server_default_result_storage_block_id = lambda: None
