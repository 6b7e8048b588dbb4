"""What a drill and a failover do, in which order, and when they are refused."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blocks.environment_files import read_declared
from domain.approval import Approval
from domain.drill import (
    DrillPlan,
    Fault,
    Mode,
    decide_drill,
    decide_fail_over,
    find_approval,
    name_drill,
    refuse_overtaken,
    refuse_second_drill,
)
from domain.drill_report import DrillReport, StepTime, is_passed, judge, list_to_mend, render_drill, render_readiness
from domain.errors import RefusedError
from domain.finding import Finding
from domain.gaps import list_gaps
from domain.readiness import Recoverability, Side, check_window, decide_readiness
from domain.spec import EnvironmentSpec
from domain.status import Operation

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
PAIR = Recoverability(
    sides=(
        Side(name="a", region="eu-central-1", role="primary", timeline=1),
        Side(name="b", region="eu-west-1", role="standby", timeline=1),
    ),
    is_streaming=True,
    lag_bytes=0,
    lag_seconds=0.1,
    gateway_target="a",
    last_verdict="passed",
    last_verdict_at=NOW - timedelta(hours=1),
    last_drill_at=NOW - timedelta(hours=1),
)
SWAPPED = PAIR.model_copy(
    update={
        "sides": (
            Side(name="a", region="eu-central-1", role="standby", timeline=2),
            Side(name="b", region="eu-west-1", role="primary", timeline=2),
        ),
        "gateway_target": "b",
    }
)
MIDDLE = ["fence_primary", "promote_standby", "switch_name", "verify_writes", "rejoin_standby"]


def make_spec(**changes: Any) -> EnvironmentSpec:
    """The specification of dev, with changes."""
    known = json.loads(read_declared("dev")[1].canonical_json())
    return EnvironmentSpec.model_validate_json(json.dumps(known | changes))


def drill(
    mode: Mode = "ungraceful", fault: Fault = "killed", observed: Recoverability = PAIR, **changes: Any
) -> DrillPlan:
    """The plan of a drill."""
    spec = make_spec(**changes)
    findings = [*decide_readiness(spec, observed, NOW), *check_window(spec, NOW)]
    return decide_drill(spec, observed, findings, mode, fault, None)


def names(plan: DrillPlan) -> list[str]:
    """The steps in their order."""
    return [step.name for step in plan.steps]


def test_an_ungraceful_drill_fences_before_it_promotes() -> None:
    """The probe writes before anything is touched, and the old primary joins again only after the name was switched."""
    found = names(drill())
    assert found[:2] == ["start_probe", "break_primary"]
    assert found[2:7] == MIDDLE
    assert found[7:] == ["measure_loss", "compare_sides", "publish_drill_report"]


def test_a_graceful_drill_stops_the_primary_in_order() -> None:
    """Nothing is broken; it is fenced all the same, so that nobody starts it beside the new one."""
    assert names(drill("graceful"))[:7] == ["start_probe", "stop_primary", *MIDDLE]


def test_the_roles_are_read_never_assumed() -> None:
    """After a drill the pair is the other way round; the next one goes back."""
    plan = drill(observed=SWAPPED)
    assert (plan.old_primary, plan.new_primary) == ("b", "a")
    assert plan.steps[1].arguments["node"] == "b"
    assert plan.steps[3].arguments["node"] == "a"


@pytest.mark.parametrize("mode", ["graceful", "ungraceful"])
def test_the_first_touch_of_the_pair_has_the_undo_of_all(mode: Mode) -> None:
    """Whatever prefix of the plan was begun: once the pair was touched, the undo that puts it in order is on record."""
    steps = drill(mode).steps
    touching = {"stop_primary", "break_primary", "fence_primary", "promote_standby", "switch_name", "rejoin_standby"}
    for end in range(1, len(steps) + 1):
        prefix = steps[:end]
        undos = {step.undo.name for step in prefix if step.undo}
        assert ("restore_pair" in undos) == bool(touching & {step.name for step in prefix})


def test_a_drill_is_refused_with_everything_that_is_wrong() -> None:
    """All at once, so that not each try finds the next."""
    broken = PAIR.model_copy(update={"is_streaming": False, "has_login": False})
    with pytest.raises(RefusedError, match=r"cannot be drilled now: the standby does not stream.*credentials"):
        drill(observed=broken)


def test_a_drill_is_refused_outside_its_window() -> None:
    """Sunday at three, one hour; now it is Wednesday at noon."""
    window = {"schedule": "0 3 * * SUN", "duration": "1h", "timezone": "UTC"}
    with pytest.raises(RefusedError, match="outside the maintenance windows"):
        drill(maintenance_windows=[window])
    assert drill(maintenance_windows=[window | {"schedule": "30 11 * * WED"}])


def test_a_stale_standby_refuses_a_drill() -> None:
    """Nobody rehearses the loss of what was written in the last minutes."""
    with pytest.raises(RefusedError, match=r"the standby lags by 60\.0 s, limit 5\.0 s"):
        drill(observed=PAIR.model_copy(update={"lag_seconds": 60.0}))


def test_a_second_drill_is_refused_and_nothing_else() -> None:
    """Another change is waited for; a drill is not begun twice."""
    with pytest.raises(RefusedError, match="dev is being drilled already, by run 1"):
        refuse_second_drill("dev", Operation.DRILL, "drill", "run 1")
    refuse_second_drill("dev", Operation.DRILL, "provision", "run 1")
    refuse_second_drill("dev", Operation.FAILOVER, "drill", "run 1")


PROTECTION = {"teardown": "refused", "deletion_limit": 3, "final_snapshot": True, "keep_media": True}


def test_a_protected_environment_is_drilled_with_somebody_elses_approval_alone() -> None:
    """One's own does not count, nor one that is over, nor one of another drill or of an older specification."""
    spec = make_spec(protection=PROTECTION)
    drill_id = name_drill(spec, "graceful", "killed")
    seen = Approval(
        plan_id=drill_id, digest=drill_id, approver="bob", reason="seen", expires_at=NOW + timedelta(hours=1)
    )
    with pytest.raises(RefusedError, match=f"drill {drill_id} has no approval that counts"):
        drill("graceful", protection=PROTECTION)
    assert find_approval(drill_id, [seen], "bob", NOW) is None
    assert find_approval(drill_id, [seen], "ada", seen.expires_at) is None
    assert find_approval(name_drill(spec, "ungraceful", "killed"), [seen], "ada", NOW) is None
    assert find_approval(name_drill(make_spec(), "graceful", "killed"), [seen], "ada", NOW) is None
    found = find_approval(drill_id, [seen], "ada", NOW)
    assert decide_drill(spec, PAIR, [], "graceful", "killed", found).steps


def test_a_failover_is_what_was_drilled() -> None:
    """The same middle; no probe, no fault, no window. A primary that still answers is stopped in order first."""
    never = {"schedule": "0 3 1 1 *", "duration": "1h", "timezone": "UTC"}
    plan = decide_fail_over(make_spec(maintenance_windows=[never]), PAIR, accepts_loss=False)
    assert names(plan) == ["stop_primary", *MIDDLE, "publish_failover_report"]
    assert (plan.old_primary, plan.new_primary) == ("a", "b")
    assert plan.steps[0].undo is not None
    assert plan.steps[0].undo.arguments == {"primary": "a", "goes_forward": True}
    cut = PAIR.model_copy(update={"is_streaming": False, "lag_bytes": 0})
    assert names(decide_fail_over(make_spec(), cut, accepts_loss=True)) == [*MIDDLE, "publish_failover_report"]


def test_a_failover_that_may_lose_something_asks() -> None:
    """Where the primary does not answer, what it alone has is unknown; synchronous commits are on both."""
    gone = Side(name="a", region="eu-central-1")
    lost = PAIR.model_copy(update={"sides": (gone, PAIR.sides[1]), "lag_seconds": 3.0})
    with pytest.raises(RefusedError, match=r"may lose writes: the primary does not answer; up to 3.0 s"):
        decide_fail_over(make_spec(), lost, accepts_loss=False)
    assert decide_fail_over(make_spec(), lost, accepts_loss=True).old_primary == "a"
    safe = lost.model_copy(update={"is_synchronous": True})
    assert decide_fail_over(make_spec(), safe, accepts_loss=False).old_primary == "a"
    cut = PAIR.model_copy(update={"lag_bytes": 10, "is_streaming": False})
    with pytest.raises(RefusedError, match="10 bytes of WAL"):
        decide_fail_over(make_spec(), cut, accepts_loss=False)


def test_a_failover_needs_a_standby() -> None:
    """Without one there is nothing to promote, whatever is accepted."""
    alone = PAIR.model_copy(update={"sides": (PAIR.sides[0],)})
    with pytest.raises(RefusedError, match="no standby that answers"):
        decide_fail_over(make_spec(), alone, accepts_loss=True)


def test_what_a_file_promises_and_no_drill_measures_is_a_gap() -> None:
    """RDS is not drilled, and services are not started in the recovery region: both are named, with the way."""
    promised = {"rto": "8h", "rpo": "1d", "backup_max_age": "2d", "drill": {"schedule": "0 4 * * WED"}}
    rds = make_spec(data={"database": {"version": "16"}}, services={}, recovery=promised | {"scope": "pilot_light"})
    told = {gap.summary for gap in list_gaps(rds, [], ["vault", "secrets-manager"])}
    assert {"its scheduled drills are refused", "no pilot light is kept in the recovery region"} <= told
    assert not any("drills" in gap.summary for gap in list_gaps(make_spec(), [], []))


MEASURED = {"is_synchronous": False, "rpo_rows": 3, "diverged_rows_after_failback": 0}


def test_a_drill_passes_where_its_objectives_are_met() -> None:
    """In asynchronous mode rows may be lost within the RPO; in synchronous mode none may, and no two rows differ."""
    recovery = make_spec().recovery
    met = judge(recovery, 0.3, 0.05)
    assert is_passed(MEASURED, met)
    assert not is_passed(MEASURED | {"is_synchronous": True}, met)
    assert not is_passed(MEASURED | {"diverged_rows_after_failback": 1}, met)
    missed = judge(recovery, recovery.rto_minutes * 60 + 1, 0)
    assert not is_passed(MEASURED, missed)
    assert [line for line in list_to_mend(MEASURED, missed, []) if line.startswith("rto was")]


def test_the_report_tells_objectives_and_a_timeline() -> None:
    """Whoever reads it sees what was promised, what was measured, and when each step ran."""
    report = DrillReport(
        status="passed", mode="ungraceful", fault="cut_off", old_primary="a", new_primary="b", rto_seconds=0.31,
        rpo_rows=2, rpo_seconds=0.02, in_doubt_rows=1, in_doubt_found=0, acknowledged_rows=500, detection_seconds=0.1,
        diverged_rows_after_failback=0, compared_rows=1000, outage_began_at=1000.5, outage_ended_at=1000.81,
        objectives=judge(make_spec().recovery, 0.31, 0.02), scope="data", is_synchronous=False, approved_by=None,
        probe_log="probe.log", probe_log_sha256="e" * 64, probe_log_kept="s3://vault/log",
        steps=(StepTime(name="start_probe", began_at=1000, seconds=0.4),),
        to_mend=("nothing streams",),
    )  # fmt: skip
    text = render_drill("dev", report)
    assert "0.310 s, of it 0.100 s detection" in text
    assert "| rto | 28800 s | 0.310 s | yes |" in text
    timeline = text.partition("```text\n")[2].partition("\n```")[0].splitlines()
    assert [line.split("  ")[0] for line in timeline] == ["start_probe", "outage at the client"]
    assert max(map(len, timeline)) <= 79, "Prefect's second UI cuts off what is longer"
    assert "`s3://vault/log`" in text
    assert "the primary was cut off" in text
    assert "- nothing streams" in text


def test_readiness_is_told_with_each_way_out() -> None:
    """What is in the way, why, what to do about it, and whether it refuses a drill."""
    findings = [
        Finding(summary="The standby is stale", detail="It is behind.", resolution="Wait.", is_blocking=True),
        Finding(summary="The next drill is outside", detail="Windows.", resolution="Move it.", is_blocking=False),
    ]
    text = render_readiness("dev", findings, NOW)
    assert text.startswith("# dev: the recovery plan would not work now")
    assert "- **The standby is stale** (refuses a drill): It is behind. Wait." in text
    assert "- **The next drill is outside**: Windows. Move it." in text
    assert "would work now" in render_readiness("dev", findings[1:], NOW)


def test_a_failover_that_another_one_overtook_is_refused() -> None:
    """One was done since it was asked for, and a primary is there: it would go back."""
    with pytest.raises(RefusedError) as caught:
        refuse_overtaken("dev", PAIR, NOW, NOW + timedelta(minutes=1))
    assert "another failover ended at 12:01:00 UTC, after this one was asked for, and a is the" in caught.value.summary


@pytest.mark.parametrize(
    ("observed", "minutes"), [(PAIR, -1), (PAIR, None), (PAIR.model_copy(update={"sides": ()}), 1)]
)
def test_a_failover_that_is_still_needed_goes_on(observed: Recoverability, minutes: int | None) -> None:
    """The last one was before, or there was none, or it left no primary."""
    refuse_overtaken("dev", observed, NOW, None if minutes is None else NOW + timedelta(minutes=minutes))
