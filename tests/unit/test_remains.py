"""What an account holds of an environment after its teardown: what may be there, and what somebody has to remove."""

from typing import Any

from domain.inventory import Inventory, Resource
from domain.remains import classify_remains

OWN = {"environment": "staging"}


def _classify(*resources: dict[str, Any], ids: frozenset[str] = frozenset()) -> tuple[list[str], list[str]]:
    listed = [Resource.model_validate({"type": "aws_sqs_queue", "region": "eu-central-1", **one}) for one in resources]
    inventory = Inventory(account_id="111111111111", regions=("eu-central-1",), resources=tuple(listed))
    found = classify_remains(inventory, "staging", ids)
    return [one.id for one in found.expected], [one.id for one in found.unexpected]


def test_what_waits_for_its_deletion_and_a_snapshot_may_be_there() -> None:
    """Keys and secrets that are pending, and a last snapshot; a key that nobody deleted may not."""
    key = {"type": "aws_kms_key", "tags": OWN}
    snapshot = {"type": "aws_db_snapshot", "id": "final", "tags": OWN}
    pending = {**key, "id": "old", "is_pending_deletion": True}
    assert _classify(pending, snapshot, {**key, "id": "new"}) == (["old", "final"], ["new"])


def test_own_is_what_carries_the_tag_or_an_id_of_the_journal() -> None:
    """A type without tags, and what came again without them, is known by the id or ARN that a run of it told."""
    assert _classify({"id": "by-hand", "tags": OWN}) == ([], ["by-hand"])
    assert _classify({"id": "alias/staging"}, ids=frozenset({"alias/staging"})) == ([], ["alias/staging"])
    assert _classify({"id": "topic", "arn": "arn:topic"}, ids=frozenset({"arn:topic"})) == ([], ["topic"])


def test_what_is_somebody_elses_is_not_named() -> None:
    """Another environment's, one without tags, one of a name that begins alike."""
    other = {"id": "staging-2", "tags": {"environment": "staging-2"}}
    assert _classify(other, {"id": "untagged"}, ids=frozenset({"staging"})) == ([], [])
