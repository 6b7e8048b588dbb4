"""The JSON of the API and of `--json` stays as scripts know it: one golden file an answer, approved by a person."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.contract import (
    Answer,
    ApiStatus,
    Check,
    Diagnosis,
    Diff,
    Difference,
    Environment,
    EnvironmentDetail,
    Environments,
    ErrorAnswer,
    Fault,
    Health,
    Hold,
    Leftover,
    LogLine,
    LogLines,
    Problem,
    Run,
    RunProgress,
    Runs,
    SlowestStep,
    StackPart,
    StackStatus,
)
from console.contract_account import AccountCheck, Accounts
from console.contract_drill import Drill, DrillApproval, Drills
from console.contract_people import Approval, NewToken, Plan, Token, Tokens
from domain.access import Role
from domain.account import Account
from domain.changes import AttributeChange, Change, Counts
from domain.drill_report import Objective, StepTime
from domain.status import EnvironmentStatus, RunStatus

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN_ID = "0198c2f4-6d1e-7c55-9a7e-3f0d8f6f2c11"

RUN = Run(
    environment="staging",
    run_id=RUN_ID,
    run_url=f"http://127.0.0.1:4200/runs/flow-run/{RUN_ID}",
    operation="plan",
    status=RunStatus.SUCCEEDED,
    changes=Counts(add=1, change=0, destroy=1),
    started_at=AT,
    finished_at=AT,
    spec_version=3,
    plan_id="9f2c",
    actor="operator",
    planned=[
        Change(
            address="aws_sqs_queue.main",
            resource_type="aws_sqs_queue",
            action="replace",
            reason="cannot_update",
            differences=(AttributeChange(key="name", before="old", after="new", forces_replacement=True),),
        )
    ],
)
RUNNING = RUN.model_copy(
    update={
        "operation": "provision",
        "status": RunStatus.RUNNING,
        "finished_at": None,
        "planned": [],
        "progress": RunProgress(
            done=12,
            planned=50,
            eta_seconds=80.0,
            eta_low_seconds=60.0,
            eta_high_seconds=120.0,
            slowest=SlowestStep(address="aws_db_instance.main", seconds=34.0, is_done=False),
        ),
    }
)
REFUSED = Run(
    environment="production",
    run_id=RUN_ID,
    run_url=None,
    operation="teardown",
    status=RunStatus.REFUSED,
    started_at=AT,
    finished_at=AT,
    spec_version=1,
    actor="operator",
    error="production is protected: its file says protection.teardown: refused.",
    resolution="Set protection.teardown: allowed in its file, apply it, and destroy production again.",
)
ENVIRONMENT = Environment(
    name="staging",
    cls="staging",
    status=EnvironmentStatus.READY,
    scope="infrastructure",
    region="eu-central-1",
    resources=61,
    expires_at=None,
    account="nonproduction",
    cloud="aws",
    spec_version=3,
)
HOLD = Hold(environment="staging", holder="ada", reason="incident 12", expires_at=AT)
FAULT = Fault(
    file="staging.yaml", line=4, column=3, key="regoin", found='"regoin"', allowed="a key", suggestion="region"
)

PLAN = Plan(
    plan_id="9f2c41d08a7b",
    environment="production",
    spec_version=3,
    run_id=RUN_ID,
    requester="ada",
    digest="d" * 64,
    changes=Counts(add=0, change=1, destroy=0),
    planned=[Change(address="aws_sqs_queue.main", resource_type="aws_sqs_queue", action="change")],
    expires_at=AT,
    is_approval_needed=True,
    is_approved=True,
    approvals=[
        Approval(plan_id="9f2c41d08a7b", approver="bob", reason="resize", digest="d" * 64, expires_at=AT),
    ],
)
TOKEN = Token(name="ada", role=Role.OPERATOR, created_at=AT, created_by="admin", expires_at=AT)
ACCOUNT = Account(
    name="nonproduction",
    account_id="111111111111",
    role_arn="arn:aws:iam::111111111111:role/terrarium",
    region="eu-central-1",
    kind="emulator",
    endpoint_url="http://127.0.0.1:5566",
    state_bucket="terrarium-state-111111111111-eu-central-1",
    vault_bucket="terrarium-vault-111111111111-eu-central-1",
)
DRILL = Drill(
    environment="dev",
    run_id=RUN_ID,
    run_url=RUN.run_url,
    status="passed",
    mode="ungraceful",
    fault="killed",
    rto_seconds=0.31,
    detection_seconds=0.1,
    rpo_rows=2,
    rpo_seconds=0.02,
    in_doubt_rows=1,
    in_doubt_found=0,
    acknowledged_rows=500,
    diverged_rows_after_failback=0,
    compared_rows=1000000,
    objectives={"rto": Objective(objective_seconds=28800, measured_seconds=0.31, is_met=True)},
    scope="data",
    is_synchronous=False,
    old_primary="a",
    new_primary="b",
    probe_log="drills/dev/run.log",
    probe_log_sha256="e" * 64,
    probe_log_kept="s3://vault/drills/dev/run.log",
    steps=[StepTime(name="promote_standby", began_at=1772366400.5, seconds=0.08)],
    actor="ada",
    started_at=AT,
    finished_at=AT,
)

ANSWERS: dict[str, Answer] = {
    "drills": Drills(drills=[DRILL]),
    "drill_approval": DrillApproval(
        environment="production", drill_id="9f2c41d08a7b", approver="bob", reason="agreed", expires_at=AT
    ),
    "plan": PLAN,
    "hold": HOLD,
    "tokens": Tokens(tokens=[TOKEN]),
    "new_token": NewToken(token=TOKEN, value="shown-once"),
    "accounts": Accounts(accounts=[ACCOUNT]),
    "account_check": AccountCheck(
        account="nonproduction",
        ok=True,
        identity="arn:aws:sts::111111111111:assumed-role/terrarium/terrarium",
        is_bootstrapped=True,
        detail="calls land in 111111111111",
    ),
    "run": RUN,
    "run_with_progress": RUNNING,
    "run_refused": REFUSED,
    "runs": Runs(runs=[RUN]),
    "environments": Environments(environments=[ENVIRONMENT]),
    "environment": EnvironmentDetail(
        environment=ENVIRONMENT,
        spec={"name": "staging", "class": "staging"},
        leftovers=[Leftover(what="a final snapshot of the database", stays="until a person deletes it")],
        is_protected=False,
        runs=[RUN],
        hold=HOLD,
    ),
    "diff": Diff(
        a="staging",
        b="production",
        a_source="spec version 3",
        b_source="environments/production.yaml",
        differences=[Difference(key="services.web.replicas", a=2, b=4)],
    ),
    "log": LogLines(lines=[LogLine(id="1", at=AT, level="info", message="12 of 50 resources")]),
    "status": StackStatus(
        is_up=True,
        prefect_url="http://127.0.0.1:4200",
        api_url="http://127.0.0.1:8700",
        parts=[StackPart(name="prefect", state="RUNNING", is_healthy=True, port=4200)],
    ),
    "api_status": ApiStatus(is_healthy=True, parts=[Health(name="ledger", is_healthy=True, detail="3 environments")]),
    "doctor": Diagnosis(
        ok=False, findings=[Check(summary="stack", ok=False, detail="nothing runs", resolution="Run `make up`.")]
    ),
    "error": ErrorAnswer(
        error=Problem(
            kind="broken_spec",
            summary="staging.yaml has one fault.",
            resolution="Correct what the lines name and try again.",
            faults=[FAULT],
        )
    ),
    "error_refused": ErrorAnswer(
        error=Problem(kind="refused", summary=REFUSED.error or "", resolution=REFUSED.resolution or ""), run=REFUSED
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_as_in_its_golden_file(name: str) -> None:
    """Field names, nesting and spelling of values are the contract."""
    assert ANSWERS[name].to_json() == json.loads((GOLDEN / f"{name}.json").read_text())


def test_every_golden_file_has_its_answer() -> None:
    """No golden file outlives its answer."""
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(ANSWERS)


def test_a_run_has_what_the_scripts_of_others_read() -> None:
    """The fields that were promised first, whatever else is added."""
    promised = {"environment", "run_id", "run_url", "status", "changes", "started_at", "finished_at"}
    assert promised <= RUN.to_json().keys()
    assert set(RUN.to_json()["changes"]) == {"add", "change", "destroy"}
    statuses = {"queued", "running", "waiting", "succeeded", "failed", "refused", "cancelled", "crashed"}
    assert {status.value for status in RunStatus} == statuses
    promised = {"name", "class", "status", "scope", "region", "resources", "expires_at"}
    assert promised <= ENVIRONMENT.to_json().keys()
