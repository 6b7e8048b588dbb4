"""The reports that stand in the Prefect UI."""

import pytest

from blocks.environment_files import read_declared
from domain.changes import Change, Changes
from domain.report import Made, render_made

CHANGES = Changes(items=(Change(address="aws_sqs_queue.main", resource_type="aws_sqs_queue", action="add"),))


@pytest.mark.parametrize(
    ("is_plan", "headline"), [(False, "1 added, 0 changed, 0 destroyed by this run."), (True, "1 to add, 0 to change")]
)
def test_a_plan_is_not_told_as_a_change(is_plan: bool, headline: str) -> None:
    """Only a run that applied says what it added; both name the cost centre."""
    made = Made(
        changes=CHANGES, resource_types=(), outputs={}, critical_path=(), gaps=(), is_plan=is_plan
    )  # fmt: skip
    text = render_made(read_declared("sandbox")[1], made)
    assert text.splitlines()[1].startswith(headline)
    assert "| cost centre | TB-100 |" in text
