"""Drills and failovers through the API, on a real ledger: what is asked, who may, and what is answered."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from blocks.ledger import Ledger
from domain.access import Role
from domain.drill import find_approval
from domain.drill_report import DrillReport, judge
from domain.rds_drill_report import RdsDrillReport
from domain.spec import EnvironmentSpec
from domain.status import Operation, RunStatus
from tests.api_face import ROOT, TRY, Face, open_face

PRODUCTION = (ROOT / "environments" / "production.yaml").read_text()


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API on an empty ledger."""
    with open_face(ledger) as face:
        yield face


def report_of(spec: EnvironmentSpec, **changes: Any) -> dict[str, Any]:
    """What a drill of the environment reports."""
    known: dict[str, Any] = {
        "status": "passed", "mode": "ungraceful", "fault": "killed", "old_primary": "a", "new_primary": "b",
        "rto_seconds": 0.3, "rpo_rows": 2, "rpo_seconds": 0.01, "in_doubt_rows": 1, "in_doubt_found": 0,
        "acknowledged_rows": 500, "detection_seconds": 0.1, "diverged_rows_after_failback": 0, "compared_rows": 9,
        "outage_began_at": 1.0, "outage_ended_at": 1.3, "objectives": judge(spec.recovery, 0.3, 0.01), "scope": "data",
        "is_synchronous": False, "approved_by": None, "probe_log": "log", "probe_log_sha256": "e" * 64,
        "probe_log_kept": "s3://vault/log", "steps": (),
        "to_mend": (),
    }  # fmt: skip
    return DrillReport.model_validate(known | changes).model_dump(mode="json")


def read_made(face: Face, name: str) -> EnvironmentSpec:
    """The specification of an environment that was made."""
    return EnvironmentSpec.model_validate_json(face.ledger.read_spec(name, None).spec_json)


def test_a_drill_is_started_and_told(face: Face) -> None:
    """202 with its run; then what it measured, in the list and alone."""
    face.make()
    run = face.post("/api/environments/try/drills", {"mode": "ungraceful", "fault": "cut_off"})
    assert run["operation"] == "drill"
    flow_run = face.prefect.runs[run["run_id"]]
    assert flow_run.parameters == {"environment": "try", "mode": "ungraceful", "fault": "cut_off"}
    assert face.get(f"/api/drills/{run['run_id']}")["status"] == "queued"
    face.begin(run)
    assert face.get("/api/drills")["drills"][0]["status"] == "running"
    told = report_of(read_made(face, "try"), fault="cut_off")
    face.ledger.finish_run(run["run_id"], RunStatus.SUCCEEDED, None, None, {"drill": told})
    found = face.get(f"/api/drills/{run['run_id']}")
    wanted = {"status": "passed", "fault": "cut_off", "rto_seconds": 0.3, "rpo_rows": 2, "in_doubt_rows": 1}
    assert wanted.items() <= found.items()
    assert found["objectives"]["rto"]["is_met"]
    assert face.get("/api/drills?environment=try")["drills"] == [found]
    assert face.get("/api/drills?environment=other")["drills"] == []


def test_a_drill_that_was_refused_or_missed_something_did_not_pass(face: Face) -> None:
    """The run of one that missed its objectives came to its end; the drill failed all the same."""
    face.make()
    for report, status, error, told in (
        ({"drill": report_of(read_made(face, "try"), status="failed")}, RunStatus.SUCCEEDED, "", "failed"),
        ({"resolution": "Wait."}, RunStatus.REFUSED, "try cannot be drilled now: it lags.", "refused"),
        ({}, RunStatus.CRASHED, "the run died", "crashed"),
    ):
        run = face.post("/api/environments/try/drills")
        face.begin(run)
        face.ledger.finish_run(run["run_id"], status, None, None, report, error)
        assert face.get(f"/api/drills/{run['run_id']}")["status"] == told


def test_an_incomplete_drill_names_what_it_did_not_measure(face: Face) -> None:
    """One through AWS's API: no outage, no loss, and the reasons."""
    face.make()
    run = face.post("/api/environments/try/drills")
    face.begin(run)
    told = RdsDrillReport(
        status="incomplete", old_primary="p", new_primary="d", promotion_seconds=312.0, record_seconds=None,
        not_measured={"rto_seconds": "no client wrote"}, scope="data", approved_by=None, steps=(), to_mend=(),
    )  # fmt: skip
    face.ledger.finish_run(run["run_id"], RunStatus.SUCCEEDED, None, None, {"drill": told.model_dump(mode="json")})
    found = face.get(f"/api/drills/{run['run_id']}")
    assert (found["status"], found["mode"], found["promotion_seconds"]) == ("incomplete", "graceful", 312.0)
    assert found["not_measured"] == {"rto_seconds": "no client wrote"}
    assert {found[key] for key in ("rto_seconds", "rpo_rows", "objectives", "diverged_rows_after_failback")} == {None}


def test_other_runs_are_no_drills(face: Face) -> None:
    """404, with the way to the list."""
    run = face.make()
    assert "is no drill" in face.get(f"/api/drills/{run['run_id']}", 404)["error"]["summary"]
    face.post("/api/environments/nowhere/drills", status_code=404)
    face.post("/api/environments/nowhere/failover", {"reason": "gone"}, 404)


def test_a_failover_waits_for_no_hold(face: Face) -> None:
    """A drill does; the reason is in the ledger, and the loss is accepted by who asks."""
    face.make()
    holder = face.give_token("ada")
    face.read(holder.post("/api/environments/try/hold", json={"reason": "incident", "duration": "2h"}))
    assert "held by ada" in face.post("/api/environments/try/drills", status_code=409)["error"]["summary"]
    run = face.post("/api/environments/try/failover", {"reason": "the region is gone", "accept_loss": True})
    flow_run = face.prefect.runs[run["run_id"]]
    parameters = {"environment": "try", "reason": "the region is gone", "accept_loss": True}
    assert flow_run.parameters == parameters
    request = face.ledger.read_request(flow_run.idempotency_key or "")
    assert request is not None
    assert (request.operation, request.reason) == (Operation.FAILOVER, "the region is gone")
    face.post("/api/environments/try/failover", {}, 422)


def test_the_same_call_under_one_key_starts_one_failover(face: Face) -> None:
    """A client that is not sure may ask again."""
    face.make()
    headers, body = {"Idempotency-Key": "one"}, {"reason": "gone"}
    answers = [face.client.post("/api/environments/try/failover", json=body, headers=headers) for _ in range(2)]
    assert len({face.read(answer, 202)["run_id"] for answer in answers}) == 1


def test_a_drill_of_a_protected_environment_is_approved_by_somebody(face: Face) -> None:
    """The approval names this kind of drill of the environment as it is; who gave it and why is on record."""
    face.make(PRODUCTION)
    bob = face.give_token("bob", Role.OPERATOR)
    body = {"mode": "graceful", "reason": "agreed on Monday"}
    found = face.read(bob.post("/api/environments/production/drills/approve", json=body))
    assert (found["approver"], found["environment"]) == ("bob", "production")
    now = face.sources.read_clock()
    approvals = face.ledger.list_approvals(found["drill_id"])
    assert find_approval(found["drill_id"], approvals, "ada", now) == approvals[0]
    assert find_approval(found["drill_id"], approvals, "bob", now) is None
    assert find_approval(found["drill_id"], approvals, "ada", now + timedelta(hours=25)) is None
    other = face.read(bob.post("/api/environments/production/drills/approve", json=body | {"mode": "ungraceful"}))
    assert other["drill_id"] != found["drill_id"]
    face.post("/api/environments/nowhere/drills/approve", body, 404)


def test_who_may_not_operate_starts_none(face: Face) -> None:
    """A developer looks at drills and starts none."""
    face.make(TRY)
    developer = face.give_token("dev", Role.DEVELOPER)
    assert developer.get("/api/drills").status_code == 200
    for path in ("drills", "drills/approve", "failover"):
        assert developer.post(f"/api/environments/try/{path}", json={}).status_code == 403
