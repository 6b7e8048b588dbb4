"""The ledger's records on a real PostgreSQL: what is written is read back, and what is refused is refused."""

from datetime import UTC, datetime

import pytest

from blocks.ledger import Ledger
from domain.changes import Counts
from domain.errors import PermanentError
from domain.progress import Event
from domain.status import EnvironmentStatus, Operation, RunStatus
from domain.step import Undo

SPEC = '{"class":"sandbox","cloud":"terraform_data"}'
AT = datetime(2026, 11, 24, 8, 0, 0, 123456, tzinfo=UTC)


def _begin(ledger: Ledger, run_id: str = "run-1", environment: str = "dev", request_id: str | None = None) -> int:
    version = ledger.add_spec(environment, SPEC, "name: dev", "ada")
    return ledger.begin_run(
        run_id, environment, Operation.PROVISION, "provision_environment", version, request_id, "ada", "host", 42
    )


def _hold(ledger: Ledger) -> None:
    """A run that changes an environment holds its lease."""
    ledger.enter_run("run-1", "dev")
    assert ledger.take_lease("dev", "run-1") is None


def test_same_spec_keeps_its_version(ledger: Ledger) -> None:
    """A spec as the newest one is the newest one; another one, and an older one again, get the next number."""
    other = '{"class":"dev"}'
    versions = [ledger.add_spec("dev", text, "", "ada") for text in (SPEC, SPEC, other, SPEC)]
    assert versions == [1, 1, 2, 3]
    assert ledger.add_spec("staging", SPEC, "", "ada") == 1


def test_spec_is_read_back_as_it_was_given(ledger: Ledger) -> None:
    """A version has the text and the file that were given, and the digest of the text; the newest is the default."""
    ledger.add_spec("dev", SPEC, "name: dev # 100 %", "ada")
    ledger.add_spec("dev", '{"class":"dev"}', "", "bob")
    first = ledger.read_spec("dev", 1)
    assert (first.spec_json, first.source_text, first.actor) == (SPEC, "name: dev # 100 %", "ada")
    assert len(first.digest) == 64
    assert ledger.read_spec("dev").version == 2


@pytest.mark.parametrize("version", [None, 7])
def test_missing_spec_is_named(ledger: Ledger, version: int | None) -> None:
    """An environment or version that is not there is an error that says how to get it."""
    with pytest.raises(PermanentError, match=r"spec for dev.*terrarium env apply"):
        ledger.read_spec("dev", version)


def test_request_is_made_once(ledger: Ledger) -> None:
    """The same request again changes nothing; another one under its id is refused."""
    ledger.add_spec("dev", SPEC, "", "ada")
    for _ in range(2):
        ledger.add_request("key", "dev", Operation.PROVISION, 1, None, "ada", "a new region")
    request = ledger.read_request("key")
    assert request is not None
    assert (request.actor, request.reason, request.spec_version) == ("ada", "a new region", 1)
    with pytest.raises(PermanentError, match=r"key was already made for provision of dev by ada"):
        ledger.add_request("key", "dev", Operation.TEARDOWN, None, None, "ada", "")
    assert [event.kind for event in ledger.list_events()] == ["spec", "request"]
    assert ledger.read_request("unknown") is None


def test_a_request_is_of_one_run(ledger: Ledger) -> None:
    """Another attempt of a run is the same run; another run is told."""
    ledger.add_request("key", "dev", Operation.PLAN, None, None, "ada")
    assert not ledger.has_other_run("key", "run-1")
    for _ in range(2):
        ledger.begin_run("run-1", "dev", Operation.PLAN, "f", None, "key", "ada", "host", 1)
    assert not ledger.has_other_run("key", "run-1")
    assert ledger.has_other_run("key", "run-2")


def test_record_of_what_is_not_there_is_refused(ledger: Ledger) -> None:
    """A run of a spec or request that the ledger does not have is an error, and leaves nothing behind."""
    with pytest.raises(PermanentError, match="contradicts"):
        ledger.begin_run("run-1", "dev", Operation.PROVISION, "f", 9, None, "ada", "host", 1)
    with pytest.raises(PermanentError, match="contradicts"):
        ledger.begin_run("run-1", "dev", Operation.PROVISION, "f", None, "nobody asked", "ada", "host", 1)
    assert ledger.list_events() == []
    assert ledger.read_run("run-1") is None


def test_run_goes_from_begin_to_outcome(ledger: Ledger) -> None:
    """A run is running until its outcome, which has the counts, the report and the error."""
    _begin(ledger)
    running = ledger.read_run("run-1")
    assert running is not None
    assert (running.status, running.finished_at, running.attempt) == (RunStatus.RUNNING, None, 1)
    report = {"resources": 3, "slowest": ("a", 1.5)}
    ledger.finish_run("run-1", RunStatus.FAILED, EnvironmentStatus.FAILED, Counts(add=3), report, "no such region")
    finished = ledger.read_run("run-1")
    assert finished is not None
    assert (finished.status, finished.counts, finished.error) == (RunStatus.FAILED, Counts(add=3), "no such region")
    assert finished.report == {"resources": 3, "slowest": ["a", 1.5]}
    assert finished.finished_at is not None
    assert finished.finished_at >= finished.begun_at


def test_outcome_stays(ledger: Ledger) -> None:
    """The same outcome again (a lost answer, tried again) changes nothing; another outcome is refused."""
    _begin(ledger)
    for _ in range(2):
        ledger.finish_run("run-1", RunStatus.CRASHED, EnvironmentStatus.DEGRADED)
    with pytest.raises(PermanentError, match="already ended as crashed"):
        ledger.finish_run("run-1", RunStatus.SUCCEEDED, EnvironmentStatus.READY)


def test_run_that_is_run_again_is_another_attempt(ledger: Ledger) -> None:
    """Prefect's own Retry runs the same flow run: it is running again, and its steps stand beside the old ones."""
    _begin(ledger)
    _hold(ledger)
    ledger.finish_step(ledger.begin_step("run-1", "apply", {}), "failed")
    ledger.finish_run("run-1", RunStatus.FAILED, EnvironmentStatus.FAILED)
    assert _begin(ledger) == 2
    _hold(ledger)
    ledger.begin_step("run-1", "apply", {})
    run = ledger.read_run("run-1")
    assert run is not None
    assert (run.attempt, run.status) == (2, RunStatus.RUNNING)
    steps = [(step.attempt, step.outcome) for step in ledger.read_steps("run-1")]
    assert steps == [(1, "failed"), (2, "begun")]
    assert len(ledger.list_runs()) == 1
    ledger.finish_run("run-1", RunStatus.SUCCEEDED, EnvironmentStatus.READY)
    assert _begin(ledger) == 3
    assert [step.attempt for step in ledger.read_open_steps("run-1")] == [1]


def test_runs_are_listed_newest_first(ledger: Ledger) -> None:
    """The newest runs come first, of all environments or of one, as many as asked for."""
    for number, environment in enumerate(["dev", "staging", "dev"], start=1):
        _begin(ledger, f"run-{number}", environment)
    assert [run.run_id for run in ledger.list_runs()] == ["run-3", "run-2", "run-1"]
    assert [run.run_id for run in ledger.list_runs("dev")] == ["run-3", "run-1"]
    assert [run.run_id for run in ledger.list_runs(limit=1)] == ["run-3"]


def test_step_is_on_record_before_the_act(ledger: Ledger) -> None:
    """A begun step has its arguments and its undo; its newest outcome counts, for it may be undone later."""
    _begin(ledger)
    _hold(ledger)
    step_id = ledger.begin_step("run-1", "save_plan", {"plan_id": "p"}, Undo(name="delete_plan"))
    ledger.begin_step("run-1", "report", {})
    begun = ledger.read_steps("run-1")[0]
    assert (begun.step_id, begun.outcome, begun.undo) == (step_id, "begun", Undo(name="delete_plan"))
    ledger.finish_step(step_id, "done", {"bytes": 9})
    ledger.finish_step(step_id, "undone")
    outcomes = [(step.name, step.outcome) for step in ledger.read_steps("run-1")]
    assert outcomes == [("save_plan", "undone"), ("report", "begun")]


def test_nothing_is_written_for_what_never_began(ledger: Ledger) -> None:
    """A step, an outcome or a generation of an unknown run, and the finish of an unknown step, are refused."""
    with pytest.raises(PermanentError, match="ghost is not in the ledger"):
        ledger.begin_step("ghost", "apply", {})
    with pytest.raises(PermanentError, match="ghost is not in the ledger"):
        ledger.finish_run("ghost", RunStatus.FAILED)
    with pytest.raises(PermanentError, match="ghost is not in the ledger"):
        ledger.open_generation("dev", "ghost", "nonproduction", "")
    with pytest.raises(PermanentError, match="Step 99 never began"):
        ledger.finish_step(99, "done")


def test_plan_is_kept_for_its_id(ledger: Ledger) -> None:
    """A saved plan is read back whole; made again, it has the same id and the newest row counts."""
    _begin(ledger)
    ledger.add_plan("p1", "dev", 1, "run-1", "d" * 64, '{"items":[]}', "s3://state/plans/dev/p1", AT)
    plan = ledger.read_plan("p1")
    assert plan is not None
    assert (plan.location, plan.expires_at, plan.changes_json) == ("s3://state/plans/dev/p1", AT, '{"items":[]}')
    ledger.add_plan("p1", "dev", 1, "run-1", "d" * 64, '{"items":[]}', "s3://state/plans/dev/p1", AT.replace(year=2027))
    again = ledger.read_plan("p1")
    assert again is not None
    assert again.expires_at == AT.replace(year=2027)
    assert ledger.read_plan("p2") is None


def _event(address: str, kind: str = "completed", seconds: float = 0.0) -> Event:
    return Event.model_validate(
        {
            "at": AT,
            "kind": kind,
            "address": address,
            "resource_type": "aws_kms_key",
            "action": "create",
            "resource_id": "id",
            "elapsed_seconds": seconds,
        }
    )


def test_journal_keeps_the_stream(ledger: Ledger) -> None:
    """Terraform's events are read back in their order, run by run, and stand in no event of the chain."""
    events = [_event("a", "started"), _event("a", seconds=1.25), _event("b", "errored")]
    ledger.add_journal("run-1", events[:1])
    ledger.add_journal("run-1", events[1:])
    ledger.add_journal("run-1", [])
    assert ledger.read_journal("run-1") == events
    assert ledger.read_journal("run-2") == []
    assert ledger.list_events() == []


def test_resource_ids_are_of_all_runs_of_an_environment(ledger: Ledger) -> None:
    """What an interrupted teardown removed, or a run made, is known to the next one; other environments' are not."""
    for run_id, environment, resource_id in [("1", "dev", "a"), ("2", "dev", "b"), ("3", "dev", ""), ("4", "qa", "c")]:
        _begin(ledger, run_id, environment)
        ledger.add_journal(run_id, [_event("x").model_copy(update={"resource_id": resource_id})])
    assert ledger.read_resource_ids("dev") == {"a", "b"}


def test_history_is_of_runs_that_did_the_same(ledger: Ledger) -> None:
    """The streams of runs of the same operation and cloud that ended well, newest first, and of no other run."""
    for number in range(1, 7):
        _begin(ledger, f"run-{number}")
        ledger.add_journal(f"run-{number}", [] if number == 5 else [_event(f"of run {number}")])
    for number, status in enumerate([RunStatus.SUCCEEDED, RunStatus.FAILED, *[RunStatus.SUCCEEDED] * 3], start=1):
        ledger.finish_run(f"run-{number}", status)
    assert ledger.read_history("terraform_data", Operation.PROVISION) == [
        [_event("of run 4")],
        [_event("of run 3")],
        [_event("of run 1")],
    ]
    assert ledger.read_history("aws", Operation.PROVISION) == []
    assert ledger.read_history("terraform_data", Operation.TEARDOWN) == []


def test_the_last_failover_is_one_that_touched_its_pair(ledger: Ledger) -> None:
    """A failed one counts too; one that has not ended, one without a step and another operation do not."""
    assert ledger.read_last_failover_at("dev") is None
    ends: tuple[tuple[str, Operation, RunStatus | None], ...] = (
        ("plan-1", Operation.PLAN, RunStatus.SUCCEEDED),
        ("failed-1", Operation.FAILOVER, RunStatus.FAILED),
        ("refused-1", Operation.FAILOVER, RunStatus.REFUSED),
        ("untouched-1", Operation.FAILOVER, RunStatus.CRASHED),
        ("going-1", Operation.FAILOVER, None),
    )
    for run_id, operation, status in ends:
        ledger.begin_run(run_id, "dev", operation, operation.value, None, None, "ada", "host", 42)
        ledger.enter_run(run_id, "dev")
        if run_id in ("plan-1", "failed-1", "going-1"):
            assert ledger.take_lease("dev", run_id) is None
            ledger.begin_step(run_id, "fence_primary", {})
        if status:
            ledger.finish_run(run_id, status)
    failed = ledger.read_run("failed-1")
    assert failed is not None
    assert ledger.read_last_failover_at("dev") == failed.finished_at
    assert ledger.read_last_failover_at("staging") is None
