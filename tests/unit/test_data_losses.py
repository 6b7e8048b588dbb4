"""Which changes take data away."""

from datetime import UTC, datetime

import pytest

from domain.changes import AttributeChange, Change, Changes
from domain.data_losses import find_data_losses, find_never_made, refuse_data_losses
from domain.errors import RefusedError
from domain.progress import Event

AT = datetime(2026, 11, 24, tzinfo=UTC)


def _change(resource_type: str, action: str, *differences: tuple[str, str, str]) -> Change:
    shown = tuple(AttributeChange(key=key, before=before, after=after) for key, before, after in differences)
    return Change(address=f"{resource_type}.x", resource_type=resource_type, action=action, differences=shown)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_change("aws_db_instance", "replace"), "replaced"),
        (_change("aws_s3_bucket", "destroy"), "destroyed"),
        (_change("aws_kms_key", "destroy"), "destroyed"),
        (
            _change("aws_db_instance", "change", ("allocated_storage", "100", "50")),
            "made smaller (allocated_storage 100 to 50)",
        ),
        (
            _change("aws_db_instance", "change", ("backup_retention_period", "14", "7")),
            "made smaller (backup_retention_period 14 to 7)",
        ),
    ],
)
def test_a_loss_is_told(change: Change, what: str) -> None:
    """Destroyed, replaced or made smaller, with the numbers."""
    assert [loss.what for loss in find_data_losses(Changes(items=(change,)))] == [what]


@pytest.mark.parametrize(
    "change",
    [
        _change("aws_db_instance", "add"),
        _change("aws_db_instance", "change", ("allocated_storage", "50", "100"), ("engine_version", "16", "15")),
        _change("aws_db_instance", "change", ("allocated_storage", "50", "(known after apply)")),
        _change("aws_lb_target_group", "replace"),
        _change("aws_ecr_repository", "destroy"),
    ],
)
def test_what_holds_no_data_or_grows_is_no_loss(change: Change) -> None:
    """A new holder, a larger one, and what is made again from code."""
    assert find_data_losses(Changes(items=(change,))) == ()


@pytest.mark.parametrize(
    ("part", "is_holder"), [("database[0]", True), ('secrets["mail"]', True), ("network", False), ("registry", False)]
)
def test_the_rehearsal_stack_has_holders_too(part: str, is_holder: bool) -> None:
    """By their part's name: every resource there has one type."""
    change = Change(address=f"terraform_data.{part}", resource_type="terraform_data", action="destroy")
    assert bool(find_data_losses(Changes(items=(change,)))) == is_holder


def test_every_loss_is_told_with_its_way() -> None:
    """Two losses, one of them named: the other one is refused alone."""
    first, second = _change("aws_db_instance", "replace"), _change("aws_s3_bucket", "destroy")
    changes = Changes(items=(first, second))
    with pytest.raises(RefusedError, match="lose data in 2 places"):
        refuse_data_losses("dev", changes, ())
    with pytest.raises(RefusedError, match=r"1 places: aws_s3_bucket\.x would be destroyed\.") as refused:
        refuse_data_losses("dev", changes, [first.address])
    assert "--replace 'aws_s3_bucket.x'" in refused.value.resolution
    refuse_data_losses("dev", changes, [first.address, second.address])


def _event(address: str, kind: str, action: str = "create") -> Event:
    return Event(at=AT, kind=kind, address=address, resource_type="a", action=action)


def test_what_a_failed_creation_left_is_no_loss() -> None:
    """Only with both: Terraform calls it tainted, and the journal says that its creation failed last."""
    tainted = _change("aws_db_instance", "replace").model_copy(update={"reason": "tainted"})
    journal = [_event(tainted.address, "errored"), _event("a.y", "errored"), _event("a.y", "completed")]
    journal += [_event("a.z", "completed"), _event("a.z", "errored", "update")]
    never_made = find_never_made(journal)
    assert never_made == {tainted.address}
    refuse_data_losses("dev", Changes(items=(tainted,)), (), never_made)
    with pytest.raises(RefusedError, match="would be replaced"):
        refuse_data_losses("dev", Changes(items=(tainted,)), ())
    with pytest.raises(RefusedError, match="would be replaced"):
        refuse_data_losses("dev", Changes(items=(_change("aws_db_instance", "replace"),)), (), never_made)
