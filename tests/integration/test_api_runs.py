"""Runs through the API: the ledger says how they ended, Prefect that they died, the journal how far they are."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from blocks.ledger import Ledger
from domain.access import Role
from domain.changes import Counts
from domain.progress import Event
from domain.status import EnvironmentStatus, RunStatus
from tests.api_face import TRY, Face, open_face


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API on an empty ledger."""
    with open_face(ledger) as face:
        yield face


def test_a_run_is_as_the_ledger_says_it_ended(face: Face) -> None:
    """The ledger's outcome, counts and error win over Prefect's state."""
    run = face.create()
    face.begin(run)
    assert face.get(f"/api/runs/{run['run_id']}")["status"] == "running"
    report = {"resolution": "Apply again."}
    face.ledger.finish_run(
        run["run_id"], RunStatus.FAILED, EnvironmentStatus.FAILED, Counts(add=3), report, "It broke."
    )
    found = face.get(f"/api/runs/{run['run_id']}")
    assert (found["status"], found["changes"], found["error"], found["resolution"]) == (
        "failed",
        {"add": 3, "change": 0, "destroy": 0},
        "It broke.",
        "Apply again.",
    )
    assert found["finished_at"] is not None


def test_a_run_whose_process_died_is_crashed(face: Face) -> None:
    """What the ledger never finished is as Prefect found it, with a way to go on."""
    run = face.create()
    face.begin(run)
    face.prefect.enter(run["run_id"], RunStatus.CRASHED, "Flow run process exited with status -9.")
    for found in (face.get(f"/api/runs/{run['run_id']}"), face.get("/api/runs")["runs"][0]):
        assert found["status"] == "crashed"
        assert "status -9" in found["error"]
        assert "runs retry" in found["resolution"]


def test_progress_comes_from_the_journal(face: Face) -> None:
    """Resources done of planned, while the run goes on."""
    run = face.create()
    face.begin(run)
    now = face.sources.read_clock()
    events = [("planned", "a"), ("planned", "b"), ("started", "a"), ("completed", "a"), ("started", "b")]
    rows = [
        Event(
            at=now + timedelta(seconds=index),
            kind=kind,
            address=f"aws_sqs_queue.{name}",
            resource_type="aws_sqs_queue",
            action="create",
            elapsed_seconds=1.0,
        )
        for index, (kind, name) in enumerate(events)
    ]
    face.ledger.add_journal(run["run_id"], rows)
    progress = face.get(f"/api/runs/{run['run_id']}")["progress"]
    assert (progress["done"], progress["planned"]) == (1, 2)


def test_runs_are_listed_with_those_in_the_queue(face: Face) -> None:
    """What Prefect still holds is listed before what has begun; a filter by environment holds for both."""
    made = face.make()
    queued = face.create(TRY.replace("name: try", "name: other"))
    face.prefect.start_run("expire", {}, "tick")
    assert [run["run_id"] for run in face.get("/api/runs")["runs"]] == [queued["run_id"], made["run_id"]]
    assert [run["run_id"] for run in face.get("/api/runs?environment=try")["runs"]] == [made["run_id"]]
    assert len(face.get("/api/runs?limit=1")["runs"]) == 1


def test_a_run_started_elsewhere_is_shown(face: Face) -> None:
    """A run from the Prefect UI has no request and is its own actor."""
    flow_run = face.prefect.start_run("provision", {"environment": "dev"}, "made-by-the-ui")
    run = face.get(f"/api/runs/{flow_run.run_id}")
    assert (run["environment"], run["operation"], run["actor"]) == ("dev", "provision", "prefect-ui")


def test_logs_are_read_from_a_time_on(face: Face) -> None:
    """Lines at or after a time, oldest first."""
    run = face.create()
    face.prefect.add_log(run["run_id"], "first")
    face.prefect.add_log(run["run_id"], "second")
    lines = face.get(f"/api/runs/{run['run_id']}/logs")["lines"]
    assert [line["message"] for line in lines] == ["first", "second"]
    answer = face.client.get(f"/api/runs/{run['run_id']}/logs", params={"after": lines[1]["at"]})
    assert [line["message"] for line in face.read(answer)["lines"]] == ["second"]
    face.get("/api/runs/none/logs", 404)


def test_a_run_is_cancelled_once(face: Face) -> None:
    """A queued run ends at once; an ended one cannot be cancelled."""
    run = face.create()
    assert face.post(f"/api/runs/{run['run_id']}/cancel")["status"] == "cancelled"
    assert face.post(f"/api/runs/{run['run_id']}/cancel", status_code=409)["error"]["kind"] == "conflict"


def test_a_retry_is_a_new_run_of_the_same_spec_version(face: Face) -> None:
    """The spec that is newer by now is not taken; a run that goes on is not repeated."""
    run = face.create()
    assert face.post(f"/api/runs/{run['run_id']}/retry", status_code=409)["error"]["kind"] == "conflict"
    face.begin(run)
    face.ledger.finish_run(run["run_id"], RunStatus.FAILED, EnvironmentStatus.FAILED, error="It broke.")
    face.create(TRY.replace("TB-100", "TB-200"))
    again = face.post(f"/api/runs/{run['run_id']}/retry")
    assert again["run_id"] != run["run_id"]
    assert (again["environment"], again["operation"], again["spec_version"]) == ("try", "provision", 1)


def test_a_run_that_never_began_can_be_retried(face: Face) -> None:
    """A run that was cancelled in the queue is known by its request."""
    run = face.create()
    face.post(f"/api/runs/{run['run_id']}/cancel")
    assert face.post(f"/api/runs/{run['run_id']}/retry")["spec_version"] == 1


@pytest.mark.parametrize("role", [role for role in Role if role.includes(Role.DEVELOPER)])
def test_a_teardown_is_repeated_by_who_may_ask_for_one(face: Face, role: Role) -> None:
    """A developer may repeat runs, but not that one: 403, and nothing starts."""
    face.make()
    run = fail_teardown(face)
    client, known = face.give_token("somebody", role), len(face.prefect.runs)
    may = role.includes(Role.OPERATOR)
    answer = face.read(client.post(f"/api/runs/{run['run_id']}/retry"), 202 if may else 403)
    assert len(face.prefect.runs) == known + may
    assert (answer["operation"] == "teardown") if may else (answer["error"]["kind"] == "forbidden")


def fail_teardown(face: Face) -> dict[str, Any]:
    """A teardown of the environment `try` that fails."""
    run = face.read(face.client.delete("/api/environments/try"), 202)
    face.begin(run)
    face.ledger.finish_run(run["run_id"], RunStatus.FAILED, EnvironmentStatus.DEGRADED, error="It broke.")
    return run


def test_a_teardown_is_repeated_on_its_own_life_alone(face: Face) -> None:
    """One that removed what it was to remove is over, and what was made since is another environment."""
    face.make()
    failed = fail_teardown(face)
    done = face.post(f"/api/runs/{failed['run_id']}/retry")
    face.begin(done)
    face.ledger.finish_run(done["run_id"], RunStatus.SUCCEEDED, EnvironmentStatus.DESTROYED)
    face.make()
    error = face.post(f"/api/runs/{done['run_id']}/retry", status_code=409)["error"]
    assert "has removed try" in error["summary"]
    error = face.post(f"/api/runs/{failed['run_id']}/retry", status_code=409)["error"]
    assert (error["kind"], "an earlier try" in error["summary"]) == ("refused", True)
