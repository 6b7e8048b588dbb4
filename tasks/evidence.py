"""The head of the chain, written where the ledger's database has no say: into the vault of an account."""

import hashlib
from typing import Any

from prefect import get_run_logger, task
from prefect.context import FlowRunContext

from blocks.settings import read_settings
from blocks.vault import put_object
from domain.evidence import ANCHOR, is_anchor_due, name_anchor, read_anchor, render_anchor
from domain.status import Operation
from tasks.asker import find_request, name_actor
from tasks.ledger import ledger
from tasks.outcome import load_account
from tasks.retry import REPEATABLE
from tasks.run import read_clock


def read_due(account: str | None) -> list[str]:
    """The account to anchor in, the one of the settings where none is named; none where nothing happened since."""
    chosen = account or read_settings().vault_account
    kept = [row for row in ledger().list_vault_objects() if row.account == chosen and row.lost_at is None]
    anchored = [row.head_seq for row in kept if row.kind == ANCHOR]
    return [chosen] if is_anchor_due(ledger().read_newest_told(), anchored) else []


@task(**REPEATABLE)
def anchor_chain(account_name: str) -> dict[str, Any]:
    """Write the number and hash of the newest event into the account's vault, and record that it is there.

    It has no undo: an anchor is never wrong. Again: the newest event of then.
    """
    account, (seq, head_hash) = load_account(account_name), ledger().read_head()
    key = name_anchor(read_settings().ledger_name, seq, head_hash)
    content = render_anchor(seq, head_hash, read_clock()).encode()
    location = put_object(account, key, content)
    assert read_anchor(location), location
    run_id, actor = _read_asker()
    sha256 = hashlib.sha256(content).hexdigest()
    ledger().add_vault_object(ANCHOR, account_name, location, sha256, (seq, head_hash), actor, run_id)
    get_run_logger().info("Event %s is anchored in %s.", seq, location)
    return {"seq": seq, "hash": head_hash, "location": location}


def _read_asker() -> tuple[str, str]:
    """This run, and who asked for it."""
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None:
        return "", "prefect-ui"
    return str(flow_run.id), name_actor(flow_run, find_request(flow_run, "", Operation.ANCHOR))
