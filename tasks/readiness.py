"""Looking whether recovery plans would work, without touching anything; and the schedules of drills."""

import shutil
from contextlib import suppress
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from pydantic import BaseModel, ConfigDict

from blocks.ledger.rows import RunRow
from blocks.postgres.pair_files import Pair
from blocks.postgres.replication import read_state, wait_for_replay
from blocks.postgres.session import connect
from domain.backup_bucket import BUCKET
from domain.drill_report import render_readiness
from domain.errors import PermanentError, TerrariumError
from domain.finding import Finding
from domain.pair import Node, PairState, other
from domain.readiness import STALE_SECONDS, Recoverability, Side, decide_readiness
from domain.spec import EnvironmentSpec
from domain.status import EnvironmentStatus, Operation
from tasks.known_pair import find_own_pair
from tasks.ledger import ledger
from tasks.rds_recovery import observe_rds
from tasks.retry import REPEATABLE
from tasks.run import read_clock

#: The deployment whose schedules are kept, and what its flow is called.
DRILL = "drill_recovery/drill"
RUNS_LOOKED_THROUGH = 200


class Evaluated(BaseModel):
    """An environment's recovery plan as it was found."""

    model_config = ConfigDict(frozen=True)

    environment: str
    findings: tuple[Finding, ...]


def observe_recovery(spec: EnvironmentSpec) -> Recoverability:
    """What there is to recover with, as it answers now. Nothing is touched."""
    pair = find_own_pair(spec.name)
    if pair is None:
        return Recoverability(rds=observe_rds(spec), **_read_history(spec.name))
    state = read_state(pair)
    primary = state.primaries[0].node if len(state.primaries) == 1 else None
    delay_seconds = state.delay_ms / 1000
    return Recoverability(
        sides=tuple(_describe_side(pair, state, one.node) for one in state.nodes),
        is_streaming=bool(primary and not state.is_cut and state.of(other(primary)).is_streaming),
        is_synchronous=bool(primary and state.of(primary).synchronous_standbys),
        lag_bytes=_count_lag(state, primary),
        lag_seconds=_measure_lag(pair, state, primary, STALE_SECONDS + 2 * delay_seconds),
        link_delay_seconds=delay_seconds,
        has_login=primary is None or _has_login(pair),  # without one nobody answers there, which is another finding
        gateway_target=state.gateway_to,
        **_read_history(spec.name),
    )


def _describe_side(pair: Pair, state: PairState, node: Node) -> Side:
    found = state.of(node)
    usage = shutil.disk_usage(pair.folder)
    return Side(
        name=node,
        region=pair.record.region_of(node),
        role=None if found.is_primary is None else "primary" if found.is_primary else "standby",
        timeline=found.timeline,
        free_bytes=usage.free,
        data_bytes=_measure_data(pair, node) if found.is_running else None,
        fault="It is fenced: it joins its pair again by a failback." if found.is_fenced else "",
    )


def _measure_data(pair: Pair, node: Node) -> int | None:
    with suppress(TerrariumError), connect(pair, at=node, database="postgres") as session:
        row = session.execute("SELECT sum(pg_database_size(oid))::bigint FROM pg_database").fetchone()
        return int(row[0]) if row else None
    return None


def _count_lag(state: PairState, primary: Node | None) -> int | None:
    if primary is None:
        return None
    ahead, behind = state.of(primary).lsn, state.of(other(primary)).lsn
    return None if ahead is None or behind is None else max(0, ahead - behind)


def _measure_lag(pair: Pair, state: PairState, primary: Node | None, limit_seconds: float) -> float | None:
    """How long the standby takes to apply what the primary has written by now; without a primary, how old its newest
    write is. None where nobody knows."""
    if primary is not None:
        with suppress(TerrariumError):
            return wait_for_replay(pair, primary, limit_seconds)
        return None
    standby = next((one.node for one in state.nodes if one.is_primary is False), None)
    if standby is None:
        return None
    query = "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"
    with suppress(TerrariumError), connect(pair, at=standby, database="postgres") as session:
        row = session.execute(query).fetchone()
        return float(row[0]) if row and row[0] is not None else None
    return None


def _has_login(pair: Pair) -> bool:
    """The probe's own credentials, through the environment's name. Nobody answering there is another finding."""
    try:
        with connect(pair, "probe") as session:
            session.execute("SELECT 1")
    except PermanentError:
        return False
    except TerrariumError as error:
        return "password" not in str(error)
    return True


def _read_history(environment: str) -> dict[str, Any]:
    known = ledger().read_environment(environment)
    drills = [one for one in ledger().list_runs(environment, RUNS_LOOKED_THROUGH) if _is_ended_drill(one)]
    told: dict[str, Any] = {"ready_since": known.ready_at if known else None}
    listings = {row.id for row in ledger().list_backups(environment) if row.kind == BUCKET}
    if verdicts := [row for row in ledger().list_verdicts(environment) if row.backup_id not in listings]:
        told |= {"last_verdict": verdicts[0].status, "last_verdict_at": verdicts[0].at}
    if not drills:
        return told
    report = (drills[0].report or {}).get("drill") or {}
    has_failed = report.get("status", "failed") == "failed"  # no report is a failure, an incomplete one is none
    return told | {"last_drill_at": drills[0].finished_at, "has_last_drill_failed": has_failed}


def _is_ended_drill(run: RunRow) -> bool:
    """A refused drill is none: nothing was rehearsed, and nothing failed."""
    return run.operation is Operation.DRILL and run.finished_at is not None and run.status != "refused"


def list_recoverable() -> list[EnvironmentSpec]:
    """The specifications of all environments that are there and promise to be drilled, or have a pair."""
    found = []
    for row in ledger().list_environments():
        if row.ready_at is None or row.status in (EnvironmentStatus.DESTROYED, EnvironmentStatus.LOST):
            continue
        version = ledger().read_made_version(row.name) or row.spec_version
        if version is None:
            continue
        spec = EnvironmentSpec.model_validate_json(ledger().read_spec(row.name, version).spec_json)
        if spec.recovery.drill or find_own_pair(row.name):
            found.append(spec)
    return found


@task(**REPEATABLE)
def report_readiness(spec: EnvironmentSpec) -> Evaluated:
    """What would keep an environment's recovery plan from working now, as an artifact and in the log."""
    findings = tuple(decide_readiness(spec, observe_recovery(spec), read_clock()))
    text = render_readiness(spec.name, findings, read_clock())
    create_markdown_artifact(text, key=f"recovery-{spec.name}", description="Whether its recovery plan would work now.")
    for finding in findings:
        get_run_logger().warning("%s: %s. %s", spec.name, finding.summary, finding.resolution)
    return Evaluated(environment=spec.name, findings=findings)


def tell_alarms(evaluated: list[Evaluated]) -> None:
    """PermanentError where a recovery plan would not work, or was not rehearsed well: the run fails, which is seen."""
    told = [f"{one.environment}: {'; '.join(f.summary for f in one.findings)}" for one in evaluated if one.findings]
    if told:
        raise PermanentError(
            f"Recovery plans that would not work, or were not proved: {' | '.join(told)}.",
            "The artifact recovery-NAME of each says what to do.",
        )


@task(**REPEATABLE)
def schedule_drills() -> int:
    """Let the schedules of the deployment `drill` be those of the environments' files; how many there are."""
    wanted = {spec.name: spec.recovery.drill for spec in list_recoverable() if spec.recovery.drill}
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(DRILL)
        known = {one.slug: one for one in deployment.schedules if one.slug}
        for name in known.keys() - wanted.keys():
            client.delete_deployment_schedule(deployment.id, known[name].id)
        for name, drill in wanted.items():
            schedule = CronSchedule(cron=drill.schedule, timezone=drill.timezone)
            parameters = {"environment": name, "mode": drill.mode}
            if name not in known:
                _add_schedule(client, deployment.id, name, schedule, parameters)
            elif (known[name].schedule, known[name].parameters) != (schedule, parameters):
                client.delete_deployment_schedule(deployment.id, known[name].id)
                _add_schedule(client, deployment.id, name, schedule, parameters)
    return len(wanted)


def _add_schedule(
    client: SyncPrefectClient, deployment_id: Any, name: str, schedule: CronSchedule, parameters: dict[str, Any]
) -> None:
    """The environment's name is the schedule's slug, so that it is found again."""
    wanted = DeploymentScheduleCreate(schedule=schedule, active=True, slug=name, parameters=parameters)
    client.request(
        "POST", "/deployments/{id}/schedules", path_params={"id": deployment_id},
        json=[wanted.model_dump(mode="json", exclude_unset=True)],
    )  # fmt: skip
