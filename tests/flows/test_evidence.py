"""The chain's anchor and the backup of the control plane, through the real flow, Prefect and vault."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

from blocks.settings import CHECKOUT
from blocks.vault import list_addresses, list_anchors
from domain.status import Operation
from tests.flow_world import World


def anchor(world: World) -> dict[str, Any]:
    """A run of `anchor_evidence` on the world's account."""
    answer = world.process.ask("run", "anchor", {"account": world.account.name}, None)
    assert answer["state"] == "COMPLETED", answer
    return answer


def terrarium(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A person's command, whose vault is the world's."""
    environment = os.environ | world.stack.variables | {"TERRARIUM_VAULT_ACCOUNT": world.account.name}
    command = [sys.executable, "-c", "from console.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)


def test_the_head_is_anchored_once(world: World, name: str) -> None:
    """The vault has the newest event's number and hash, the ledger says so; nothing new: no other anchor."""
    world.add_spec(name)
    head = world.ledger.read_head()
    run = anchor(world)
    found = list_anchors(world.account, "terrarium")
    assert (found[-1].seq, found[-1].hash) == head
    row = world.ledger.list_vault_objects()[-1]
    assert (row.kind, row.location, row.head_seq, row.lost_at) == ("anchor", found[-1].location, head[0], None)
    assert world.ledger.list_events(after_seq=row.seq - 1)[0].run_id == run["run_id"]
    anchor(world)
    assert list_anchors(world.account, "terrarium") == found
    ended_at = world.prefect.read_last_success("anchor")
    assert ended_at is not None
    assert row.at - timedelta(minutes=1) < ended_at
    world.add_spec(name, data={"queue": {}})
    anchor(world)
    assert len(list_anchors(world.account, "terrarium")) == len(found) + 1


def test_an_anchor_has_the_name_of_who_asked_for_one(world: World, name: str) -> None:
    """The key of a request for something else gives it no name."""
    asked = world.ask(Operation.ANCHOR, "", None, None, "alice")
    other = world.ask(Operation.PROVISION, name, world.add_spec(name), None, "alice")
    for request_id, actor in ((asked, "alice"), (other, "prefect-ui")):
        answer = world.process.ask("run", "anchor", {"account": world.account.name}, request_id)
        assert answer["state"] == "COMPLETED", answer
        assert world.ledger.list_vault_objects()[-1].actor == actor
        world.add_spec(name, data={"queue": {}})


def test_the_anchor_is_checked_without_the_api(world: World, name: str) -> None:
    """`evidence verify` finds the account by Prefect, the anchors in its vault and the records in the database."""
    world.add_spec(name)
    anchor(world)
    done = terrarium(world, "evidence", "verify", "--json")
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["is_whole"], verdict["unchecked"]) == (0, True, ""), done.stderr
    assert verdict["anchors"] >= 1


def test_an_account_without_a_block_is_named(world: World, name: str) -> None:
    """The run fails with the way, and nothing is recorded."""
    world.add_spec(name)
    before = world.ledger.list_vault_objects()
    answer = world.process.ask("run", "anchor", {"account": "nowhere"}, None)
    assert (answer["state"], "no account nowhere" in answer["message"]) == ("FAILED", True)
    assert world.ledger.list_vault_objects() == before


def test_a_backup_lies_in_the_vault(world: World) -> None:
    """Both dumps and the manifest, encrypted with the account's key, and recorded with the head of the chain."""
    done = terrarium(world, "backup", "control-plane", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    answer = json.loads(done.stdout)
    row = world.ledger.list_vault_objects()[-1]
    assert (row.kind, row.location, row.head_seq) == ("backup", answer["location"], answer["head_seq"])
    prefix = answer["location"].removeprefix(f"s3://{world.account.vault_bucket}/").removesuffix("manifest.json")
    found = {address.rpartition("/")[2] for address in list_addresses(world.account, prefix)}
    assert found == {"manifest.json", "prefect.dump", "terrarium.dump"}
    head = world.account.client("s3").head_object(Bucket=world.account.vault_bucket, Key=f"{prefix}terrarium.dump")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", world.account.kms_key_id)
