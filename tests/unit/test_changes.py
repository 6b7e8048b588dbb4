"""What a plan would change, read from Terraform's stream."""

from domain.changes import Counts, read_changes


def _message(address: str, action: str) -> dict:
    resource = {"addr": address, "resource_type": address.split(".")[0]}
    return {"type": "planned_change", "change": {"resource": resource, "action": action}}


def test_a_replacement_counts_as_one_added_and_one_destroyed() -> None:
    """The counts are those of Terraform's own summary."""
    changes = read_changes([_message("a.x", "create"), _message("a.y", "replace"), _message("a.z", "update")])
    assert changes.counts == Counts(add=2, change=1, destroy=1)


def test_reads_and_moves_change_no_resource() -> None:
    """Data sources that are read and resources that move to another address are no changes."""
    changes = read_changes([_message("data.a.x", "read"), _message("a.y", "move"), _message("a.z", "noop")])
    assert changes.counts.is_empty


def test_lost_are_the_destroyed_and_the_replaced() -> None:
    """What the deletion limit counts: nothing that stays."""
    changes = read_changes([_message("a.x", "delete"), _message("a.y", "replace"), _message("a.z", "create")])
    assert [change.address for change in changes.lost] == ["a.x", "a.y"]


def test_the_digest_does_not_depend_on_the_order_of_the_stream() -> None:
    """Terraform walks its graph in parallel: equal plans come in different orders."""
    first, second = _message("a.x", "create"), _message("a.y", "delete")
    assert read_changes([first, second]).digest() == read_changes([second, first]).digest()
    assert read_changes([first]).digest() != read_changes([second]).digest()
