"""What a drill of RDS does, when it is refused, and what its report says of what it did not measure."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from blocks.environment_files import read_declared
from domain.approval import Approval
from domain.drill import DrillPlan, Mode, decide_drill, decide_fail_over, name_drill
from domain.errors import RefusedError
from domain.rds import Instance
from domain.rds_drill_report import RdsDrillReport, judge_rds_drill, list_unmeasured, render_rds_drill
from domain.rds_recovery import PLACEHOLDER, RdsRecovery, Record, check_rds
from domain.readiness import Recoverability, decide_readiness
from domain.spec import EnvironmentSpec

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PRODUCTION, STAGING = (read_declared(name)[1] for name in ("production", "staging"))
FIELDS = {"status": "available", "engine_version": "16.4", "instance_class": "db.m7g.large", "is_encrypted": True}
PRIMARY = Instance(
    id="terrarium-production", arn="arn:aws:rds:eu-central-1:1:db:p", endpoint="p.example", is_public=False, **FIELDS
)
REPLICA = Instance(
    id="terrarium-production-replica", arn="arn:aws:rds:eu-west-1:1:db:r", source=PRIMARY.arn, is_public=False, **FIELDS
)
PROMOTED = REPLICA.model_copy(
    update={"id": "terrarium-production-drill-1", "arn": "d", "source": "", "endpoint": "d.example"}
)
ZONE = "travelblog.example"
USERS = Record(name=ZONE, type="A", set_identifier="primary", alias="lb.example")
NAME = Record(name=f"database.{ZONE}", type="CNAME", values=("p.example",), ttl_seconds=30)
DRILLED = Record(name=f"drill-1.{ZONE}", type="CNAME", values=("d.example",), ttl_seconds=30)
SOUND = RdsRecovery(primary=PRIMARY, replica=REPLICA, zone_id="Z1", records=(USERS, NAME))
APPROVAL = Approval(
    plan_id=name_drill(PRODUCTION, "graceful", "killed"), digest=name_drill(PRODUCTION, "graceful", "killed"),
    approver="bob", reason="yes", expires_at=NOW + timedelta(hours=1),
)  # fmt: skip


def decide(
    rds: RdsRecovery, spec: EnvironmentSpec = PRODUCTION, mode: Mode = "graceful", approval: Approval | None = APPROVAL
) -> DrillPlan:
    """The plan, with everything that stands in the way of it."""
    observed = Recoverability(rds=rds)
    findings = decide_readiness(spec, observed, NOW)
    return decide_drill(spec, observed, findings, mode, "killed", approval)


def test_a_copy_is_promoted_and_everything_goes_again() -> None:
    """What a step makes has its undo beside it; the environment's replica is a pattern, and is never promoted."""
    plan = decide(SOUND)
    names = [step.name for step in plan.steps]
    assert names == [
        *("create_drill_replica", "create_drill_record", "promote_drill_replica", "switch_drill_record"),
        *("verify_rds_drill", "delete_drill_record", "delete_drill_replica", "publish_rds_drill_report"),
    ]
    undos = {step.name: step.undo.name for step in plan.steps if step.undo}
    assert undos == {"create_drill_replica": "delete_drill_replica", "create_drill_record": "delete_drill_record"}
    assert plan.steps[1].arguments["target"] == PRIMARY.endpoint
    assert plan.steps[2].arguments == {}
    assert json.dumps([step.model_dump(mode="json") for step in plan.steps])


def test_without_a_zone_no_name_is_switched() -> None:
    """The promotion is still rehearsed, and the report says that no record was."""
    spec = PRODUCTION.model_copy(update={"dns": None})
    approval = APPROVAL.model_copy(
        update={key: name_drill(spec, "graceful", "killed") for key in ("plan_id", "digest")}
    )
    plan = decide(SOUND.model_copy(update={"zone_id": "", "records": ()}), spec, approval=approval)
    assert not [step.name for step in plan.steps if "record" in step.name]
    told = list_unmeasured(SOUND, has_zone=False, is_emulated=False)
    assert "no dns" in told["record_seconds"]


def test_production_needs_an_approval() -> None:
    """As a drill of a pair does."""
    with pytest.raises(RefusedError, match="is protected"):
        decide(SOUND, approval=None)


def test_no_fault_can_be_brought_on_rds() -> None:
    """An ungraceful drill is refused, and says what there is instead."""
    ungraceful = name_drill(PRODUCTION, "ungraceful", "killed")
    approval = APPROVAL.model_copy(update={"plan_id": ungraceful, "digest": ungraceful})
    with pytest.raises(RefusedError, match="no ungraceful drill"):
        decide(SOUND, mode="ungraceful", approval=approval)


def test_a_real_failover_is_made_by_hand() -> None:
    """Also where the loss is accepted: nobody can prove that the old primary takes no write."""
    with pytest.raises(RefusedError, match="is not failed over by this version"):
        decide_fail_over(PRODUCTION, Recoverability(rds=SOUND), accepts_loss=True)


REFUSED = {
    "no RDS instance": {"primary": None},
    "no read replica": {"replica": None},
    "replicates no more": {"replica": REPLICA.model_copy(update={"source": ""})},
    "instance terrarium-production-replica is modifying": {
        "replica": REPLICA.model_copy(update={"status": "modifying"})
    },
    "there is no zone": {"zone_id": "", "records": ()},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_recovered_is_refused(reason: str) -> None:
    """By name, with what would have to be there."""
    with pytest.raises(RefusedError, match=reason):
        decide(SOUND.model_copy(update=REFUSED[reason]))


def test_staging_as_shipped_has_no_replica() -> None:
    """Its Terraform makes none; the refusal says which keys of its file make one."""
    found = RdsRecovery(primary=PRIMARY, zone_id="Z1")
    with pytest.raises(RefusedError) as refused:
        decide(found, STAGING, approval=None)
    assert "data.database.has_replica: true" in refused.value.resolution


def test_what_a_recovery_would_miss_is_told_and_refuses_nothing() -> None:
    """A database without a name, and a standby's record that stands for nothing."""
    found = RdsRecovery(
        primary=PRIMARY, replica=REPLICA, zone_id="Z1",
        records=(USERS, Record(name=f"standby.{ZONE}", type="A", values=(PLACEHOLDER,))),
    )  # fmt: skip
    told = list(check_rds(PRODUCTION, found))
    assert [finding.is_blocking for finding in told] == [False, False]
    assert "no record of travelblog.example leads to the database" in told[0].summary
    assert {"clients", "failover_record"} <= list_unmeasured(found, has_zone=True, is_emulated=False).keys()
    assert list(check_rds(PRODUCTION, SOUND)) == []


BROKEN = {
    "is gone": {"promoted": None},
    "its source is": {"promoted": PROMOTED.model_copy(update={"source": PRIMARY.arn})},
    "not private and encrypted": {"promoted": PROMOTED.model_copy(update={"is_public": True})},
    "is of 15.8": {"promoted": PROMOTED.model_copy(update={"engine_version": "15.8"})},
    "name leads to nothing": {"record": None},
    "own primary or replica": {
        "after": SOUND.model_copy(update={"replica": REPLICA.model_copy(update={"source": ""})})
    },
    "own records have changed": {"after": SOUND.model_copy(update={"records": (NAME, DRILLED)})},
}


def test_a_sound_rehearsal_has_no_fault() -> None:
    """A state that changes while a copy is made is none, and neither is the drill's own record."""
    after = SOUND.model_copy(
        update={
            "primary": PRIMARY.model_copy(update={"status": "backing-up"}),
            "records": (*SOUND.records, DRILLED),
        }
    )
    assert list(judge_rds_drill(SOUND, after, PROMOTED, DRILLED)) == []


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_wrong_after_a_promotion_is_named(fault: str) -> None:
    """With the copy, with its name, or with what is the environment's own."""
    seen = {"after": SOUND, "promoted": PROMOTED, "record": DRILLED} | BROKEN[fault]
    told = list(judge_rds_drill(SOUND, seen["after"], seen["promoted"], seen["record"]))
    assert any(fault in one for one in told)


@pytest.mark.parametrize("is_emulated", [True, False])
def test_a_report_names_what_it_did_not_measure(is_emulated: bool) -> None:
    """No outage and no loss, wherever it runs; an emulator's times are nobody's."""
    told = list_unmeasured(SOUND, has_zone=True, is_emulated=is_emulated)
    assert {"rto_seconds", "rpo_rows", "in_doubt_rows", "diverged_rows_after_failback", "fencing"} <= told.keys()
    assert ("promotion_seconds" in told) is is_emulated
    report = RdsDrillReport(
        status="incomplete", old_primary="p", new_primary="d", promotion_seconds=None if is_emulated else 312.0,
        record_seconds=None, not_measured=told, scope="data", approved_by="bob", steps=(), to_mend=("x",),
    )  # fmt: skip
    text = render_rds_drill("production", report)
    for words in ("drill incomplete", "- `rto_seconds`: ", "| approved by | bob |"):
        assert words in text
    assert ("312.0 s" in text) is not is_emulated
