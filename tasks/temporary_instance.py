"""Instances that runs bring for themselves, found by their tags and deleted. Nothing of an environment has those."""

from blocks.rds import delete_instance, list_instances
from domain.rds import Instance, Purpose, is_ours
from tasks.ledger import ledger
from tasks.run import Run


def delete_own(run: Run, region: str, purpose: Purpose) -> None:
    """Delete what this run has made. Gone is gone."""
    _delete(run, region, [one for one in _list_temporary(run, region, purpose) if one.tags.get("run") == run.run_id])


def delete_left(run: Run, region: str, purpose: Purpose) -> None:
    """Delete what runs have left that have ended, and whose undo could not: AWS did not answer then."""
    others = [one for one in _list_temporary(run, region, purpose) if one.tags.get("run") != run.run_id]
    _delete(run, region, [one for one in others if _has_ended(one.tags.get("run", ""))])


def _list_temporary(run: Run, region: str, purpose: Purpose) -> list[Instance]:
    return [one for one in list_instances(run.account, region) if is_ours(one.tags, run.environment, purpose)]


def _has_ended(run_id: str) -> bool:
    row = ledger().read_run(run_id) if run_id else None
    return row is not None and row.finished_at is not None


def _delete(run: Run, region: str, instances: list[Instance]) -> None:
    for one in instances:
        delete_instance(run.account, region, one.id)
