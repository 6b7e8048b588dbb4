"""The API on a real ledger. Prefect is the fake that passes the block's contract suite."""

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from blocks.ledger import Ledger
from console.access import OPEN_PATHS
from console.api import create_app
from domain.changes import Change, Changes
from domain.status import EnvironmentStatus, Operation, RunStatus
from tests.api_face import ROOT, TRY, Face, open_face
from tests.api_server import TOKEN, serve

PRODUCTION = (ROOT / "environments" / "production.yaml").read_text()


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API on an empty ledger."""
    with open_face(ledger) as face:
        yield face


def test_every_route_wants_the_token(face: Face) -> None:
    """Deny by default: without the token, or with another one, no route answers but the open ones."""
    routes = face.get("/openapi.json")["paths"]
    assert len(routes) > 10
    for template, methods in routes.items():
        path = re.sub(r"{\w+}", "x", template)
        for method in methods:
            for headers in (
                {"Authorization": ""},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {TOKEN}"},
            ):
                answer = face.client.request(method, path, headers=headers)
                assert answer.status_code == (200 if path in OPEN_PATHS else 401), (method, path)
                assert path in OPEN_PATHS or answer.json()["error"]["kind"] == "unauthorized"
    assert face.client.get("/openapi.json", headers={"Authorization": ""}).status_code == 200


def test_creating_answers_with_the_run_and_its_address(face: Face) -> None:
    """202, the queued run, `Location`; spec and request stand in the ledger before Prefect has the run."""
    answer = face.client.post("/api/environments", json={"spec": TRY})
    run = face.read(answer, 202)
    assert answer.headers["Location"] == f"/api/runs/{run['run_id']}"
    assert (run["environment"], run["status"], run["operation"]) == ("try", "queued", "provision")
    assert run["run_url"] == f"http://prefect.example/runs/flow-run/{run['run_id']}"
    assert face.get(answer.headers["Location"]) == run
    flow_run = face.prefect.runs[run["run_id"]]
    assert flow_run.parameters == {"environment": "try", "spec_version": 1}
    request = face.ledger.read_request(flow_run.idempotency_key or "")
    assert request is not None
    assert (request.operation, request.spec_version, request.actor) == (Operation.PROVISION, 1, "operator")


def test_the_same_spec_is_the_same_version(face: Face) -> None:
    """Applying twice stores one version; a changed file is a new one."""
    assert face.create()["spec_version"] == 1
    assert face.create()["spec_version"] == 1
    assert face.create(TRY.replace("TB-100", "TB-200"))["spec_version"] == 2


def test_a_broken_spec_is_answered_with_its_places(face: Face) -> None:
    """422 with file, line, key, what was found, what is allowed and the nearest word; no run, no version."""
    body = {"spec": TRY.replace("owner", "owmer"), "file_name": "try.yaml"}
    error = face.post("/api/environments", body, 422)["error"]
    assert error["kind"] == "broken_spec"
    fault = next(fault for fault in error["faults"] if fault["suggestion"])
    assert (fault["file"], fault["line"], fault["suggestion"]) == ("try.yaml", 3, "owner")
    assert face.prefect.runs == {}
    assert face.post("/api/environments/try/plan", status_code=404)["error"]["kind"] == "unknown"


def test_a_request_that_is_none_has_the_same_shape(face: Face) -> None:
    """Wrong bodies and unknown addresses are errors of the one shape."""
    assert face.post("/api/environments", {"yaml": TRY}, 422)["error"]["kind"] == "bad_request"
    assert face.get("/api/nothing", 404)["error"]["kind"] == "unknown"
    assert face.get("/api/runs/none", 404)["error"]["kind"] == "unknown"
    assert face.get("/api/environments/none", 404)["error"]["kind"] == "unknown"
    assert face.get("/api/runs?limit=0", 422)["error"]["kind"] == "bad_request"


def test_a_plan_is_shown_and_applied_as_it_was_shown(face: Face) -> None:
    """The plan run tells what would change; the apply run is bound to the plan and to the spec it was made of."""
    run = face.create(plan_only=True)
    assert run["operation"] == "plan"
    face.begin(run)
    changes = Changes(items=(Change(address="aws_sqs_queue.main", resource_type="aws_sqs_queue", action="add"),))
    soon = face.sources.read_clock() + timedelta(hours=1)
    kept = (changes.digest(), changes.model_dump_json(), "plans/try/p1", soon)
    face.ledger.add_plan("p1", "try", 1, run["run_id"], *kept)
    face.ledger.finish_run(run["run_id"], RunStatus.SUCCEEDED, None, changes.counts, {"plan_id": "p1"})
    shown = face.get(f"/api/runs/{run['run_id']}")
    assert shown["plan_id"] == "p1"
    assert [change["address"] for change in shown["planned"]] == ["aws_sqs_queue.main"]
    applied = face.post("/api/environments/try/apply", {"plan_id": "p1"})
    flow_run = face.prefect.runs[applied["run_id"]]
    assert flow_run.parameters == {"environment": "try", "spec_version": 1}
    request = face.ledger.read_request(flow_run.idempotency_key or "")
    assert request is not None
    assert request.plan_id == "p1"
    assert face.post("/api/environments/try/apply", {"plan_id": "p2"}, 404)["error"]["kind"] == "unknown"
    assert face.post("/api/environments/other/apply", {"plan_id": "p1"}, 404)["error"]["kind"] == "unknown"
    face.create(TRY.replace("TB-100", "TB-200"), plan_only=True)
    assert face.post("/api/environments/try/apply", {"plan_id": "p1"}, 409)["error"]["kind"] == "refused"


def test_an_old_plan_is_refused(face: Face) -> None:
    """A plan that is over is not applied."""
    run = face.create(plan_only=True)
    face.begin(run)
    past = face.sources.read_clock() - timedelta(minutes=1)
    face.ledger.add_plan("old", "try", 1, run["run_id"], "d", Changes().model_dump_json(), "plans/try/old", past)
    assert face.post("/api/environments/try/apply", {"plan_id": "old"}, 409)["error"]["kind"] == "refused"


def test_environments_are_listed_and_shown(face: Face) -> None:
    """The list has the promised fields; one environment has its spec, its runs and what a teardown leaves."""
    face.make()
    row = face.get("/api/environments")["environments"][0]
    promised = {"name": "try", "class": "sandbox", "status": "ready", "scope": "infrastructure", "resources": 5}
    assert promised.items() <= row.items()
    assert row["expires_at"] is not None
    shown = face.get("/api/environments/try")
    assert shown["environment"] == row
    assert shown["spec"]["class"] == "sandbox"
    assert [run["status"] for run in shown["runs"]] == ["succeeded"]
    assert shown["leftovers"] != []
    assert not shown["is_protected"]


def test_a_difference_is_told_key_by_key(face: Face) -> None:
    """Environments that were not made yet are read from their files."""
    diff = face.get("/api/environments/staging/diff/production")
    assert diff["a_source"] == "environments/staging.yaml"
    assert {"class", "protection.teardown"} <= {difference["key"] for difference in diff["differences"]}
    face.make()
    assert face.get("/api/environments/try/diff/staging")["a_source"] == "spec version 1"
    assert face.get("/api/environments/try/diff/try")["differences"] == []
    face.get("/api/environments/try/diff/nowhere", 404)
    face.get("/api/environments/try/diff/..%2Fstaging", 404)


def test_destroying_starts_a_teardown(face: Face) -> None:
    """DELETE answers 202 with the run."""
    face.make()
    run = face.read(face.client.delete("/api/environments/try"), 202)
    assert (run["operation"], run["status"]) == ("teardown", "queued")
    assert face.prefect.runs[run["run_id"]].parameters == {"environment": "try"}
    assert face.read(face.client.delete("/api/environments/none"), 404)["error"]["kind"] == "unknown"


def test_what_was_destroyed_is_not_destroyed_again(face: Face) -> None:
    """409 says so; a new environment of that name can be made."""
    face.make()
    run = face.read(face.client.delete("/api/environments/try"), 202)
    face.begin(run)
    face.ledger.finish_run(run["run_id"], RunStatus.SUCCEEDED, EnvironmentStatus.DESTROYED)
    assert face.read(face.client.delete("/api/environments/try"), 409)["error"]["kind"] == "conflict"
    face.create()


def test_a_fault_of_the_api_has_the_same_shape(face: Face) -> None:
    """500 tells the type of the error and where to read more, never its text."""
    broken = dataclasses.replace(face.sources, environments_dir=None)
    with serve(create_app(broken)) as url:
        error = face.read(face.client.post(f"{url}/api/environments", json={"spec": TRY}), 500)["error"]
    assert (error["kind"], error["summary"]) == ("failed", "The API failed: TypeError.")


def test_destroying_what_is_protected_is_refused_and_on_record(face: Face) -> None:
    """409 with a refused run and the way; the refusal stands in the ledger, nothing was started."""
    face.make(PRODUCTION)
    count = len(face.prefect.runs)
    answer = face.read(face.client.delete("/api/environments/production"), 409)
    assert answer["error"]["kind"] == "refused"
    run = answer["run"]
    assert (run["status"], run["operation"], run["run_url"]) == ("refused", "teardown", None)
    assert "protection.teardown" in run["resolution"]
    assert face.get(f"/api/runs/{run['run_id']}") == run
    assert len(face.prefect.runs) == count
    assert face.get("/api/environments/production")["environment"]["status"] == "ready"


def test_an_environment_is_extended_from_its_end(face: Face) -> None:
    """More time counts from the expiry; what has no end cannot be extended; a duration needs its unit."""
    face.make()
    before = face.ledger.read_environment("try")
    assert before is not None
    assert before.expires_at is not None
    after = face.post("/api/environments/try/extend", {"duration": "2h", "reason": "demo"}, 200)
    assert after["expires_at"] == (before.expires_at + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    assert face.post("/api/environments/try/extend", {"duration": "2"}, 422)["error"]["kind"] == "bad_request"
    face.make(PRODUCTION)
    assert face.post("/api/environments/production/extend", {"duration": "2h"}, 409)["error"]["kind"] == "refused"


def test_a_held_environment_is_unlocked_with_a_reason(face: Face) -> None:
    """The answer is the run that counts as dead; the reason and the actor are in the chain; free is free."""
    run = face.make()
    assert face.post("/api/environments/try/unlock", {"reason": "node gone"}, 409)["error"]["kind"] == "conflict"
    face.ledger.enter_run(run["run_id"], "try")
    face.ledger.take_lease("try", run["run_id"])
    assert face.post("/api/environments/try/unlock", {}, 422)["error"]["kind"] == "bad_request"
    assert face.post("/api/environments/try/unlock", {"reason": "node gone"}, 200)["run_id"] == run["run_id"]
    last = face.ledger.list_events("try", limit=500)[-1]
    assert (last.kind, last.reason, last.run_id) == ("takeover", "node gone", run["run_id"])
    assert face.ledger.list_leases() == []


def test_an_environment_that_no_run_ever_began_on_is_unlocked(face: Face) -> None:
    """Its only run died with the lease and before its first record: the answer names it, and the lease is free."""
    queued = face.create()
    for run_id in (queued["run_id"], "of-another-prefect"):
        face.ledger.enter_run(run_id, "try")
        assert face.ledger.take_lease("try", run_id) is None
        assert face.post("/api/environments/try/unlock", {"reason": "node gone"}, 200)["run_id"] == run_id
        assert face.ledger.list_leases() == []
    assert face.post("/api/environments/none/unlock", {"reason": "node gone"}, 409)["error"]["kind"] == "conflict"


def test_a_run_that_waits_for_another_says_so(face: Face) -> None:
    """It has not begun: Prefect calls it running, the ledger knows that another run holds its environment."""
    held = face.make()
    face.ledger.enter_run(held["run_id"], "try")
    face.ledger.take_lease("try", held["run_id"])
    queued = face.post("/api/environments/try/apply", {})
    face.prefect.enter(queued["run_id"], RunStatus.RUNNING)
    face.ledger.enter_run(queued["run_id"], "try")
    assert face.get(f"/api/runs/{queued['run_id']}")["status"] == "waiting"
    face.ledger.leave_run(held["run_id"])
    assert face.get(f"/api/runs/{queued['run_id']}")["status"] == "running"


def test_the_status_names_the_parts(face: Face) -> None:
    """The ledger and Prefect, as the API sees them."""
    assert face.get("/api/status")["is_healthy"]
    assert face.get("/health") == {"is_healthy": True}


def test_openapi_knows_the_token_and_the_errors(face: Face) -> None:
    """A client can be made from the document alone."""
    document = json.dumps(face.get("/openapi.json"))
    assert "HTTPBearer" in document
    assert "ErrorAnswer" in document
