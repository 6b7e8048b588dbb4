"""Ending what dead runs began: unwound, its state and lock put in order, its outcome written, its folder removed.

Everything here goes by the ledger, the machine and the account alone, for nothing of the dead process is left.
"""

import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID

from prefect import get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from blocks.ledger import RunRow
from blocks.ledger.leases import LivenessRow
from blocks.left_processes import find_left_processes, kill_left_processes
from blocks.settings import read_settings
from blocks.terraform import RESCUED_STATE
from domain.errors import PermanentError, RefusedError, TerrariumError
from domain.provision import refuse_other_place
from domain.spec import EnvironmentSpec
from domain.status import RunStatus
from domain.sweep import BegunRun, BegunStep, DeadRun, decide_sweep, name_way_on
from tasks import terraform
from tasks.failover import judge_unbegun
from tasks.journal import complete_journal
from tasks.ledger import ledger
from tasks.outcome import finish, list_left, load_account
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock
from tasks.steps import may_have_changed, unwind

#: Who takes over a dead run.
ACTOR = "sweeper"
#: A run is reported once it has been silent for so many heartbeats.
SILENT_BEATS = 6


def read_silence_seconds() -> float:
    """How long a run may be silent before it is reported."""
    return SILENT_BEATS * read_settings().heartbeat_seconds


def read_begun(environment: str | None = None) -> list[BegunRun]:
    """The runs that a process acts for, or acted for, but for those of this process; of one environment or of all."""
    now = read_clock()
    return [_read_begun(row, now) for row in ledger().list_live(environment) if not row.is_own]


def _read_begun(row: LivenessRow, now: datetime) -> BegunRun:
    run = ledger().read_run(row.run_id)
    about = {"run_id": row.run_id, "environment": row.environment, "is_dead": row.is_proved_dead}
    about |= {"silent_seconds": (now - row.beat_at).total_seconds()}
    if run is None:
        return BegunRun(**about, operation=None)
    steps = ledger().read_open_steps(row.run_id)
    known = ledger().read_environment(row.environment)
    return BegunRun(
        **about,
        operation=run.operation,
        has_ended=run.finished_at is not None,
        is_finishing=any(one.is_terraform for one in find_left_processes(_folder(row))),
        was_ready=bool(known and known.ready_at),
        may_have_changed=may_have_changed(steps),
        steps=tuple(
            BegunStep(step_id=one.step_id, name=one.name, outcome=one.outcome, is_earlier=one.attempt < run.attempt)
            for one in steps
        ),
    )


def _folder(row: LivenessRow) -> Path:
    return read_settings().state_dir / "work" / row.environment / row.run_id


def sweep_environment(environment: str) -> None:
    """Sweep the dead runs of one environment: the next run on it does not wait for the schedule."""
    for dead in decide_sweep(read_begun(environment), read_silence_seconds()).dead:
        sweep_run(dead)


@task(**REPEATABLE)
def sweep_run(dead: DeadRun) -> None:
    """Take a dead run over and end it. Where another process does so already, nothing is left to do here.

    A second try finds that this process has taken it over, and goes on. The account is checked before anything.
    """
    row = next((one for one in ledger().list_live(dead.environment) if one.run_id == dead.run_id), None)
    if row is None or not (row.is_own or row.is_proved_dead):
        return
    begun = ledger().read_run(dead.run_id)
    assert begun is not None or dead.status is None
    run = restore_run(begun) if begun and dead.status is not None else None
    where = _find_place(row, begun)
    if not row.is_own:
        if not ledger().take_over(row, ACTOR, f"{where} is gone"):
            return
        get_run_logger().warning("Run %s on %s is dead: %s is gone.", dead.run_id, dead.environment, where)
    if dead.status is not None:
        _end_run(dead, run, where)
    ledger().leave_run(dead.run_id)
    _remove_folder(_folder(row))
    _tell_prefect(dead.run_id, where)


def _find_place(row: LivenessRow, begun: RunRow | None) -> str:
    """The process that died, as the run itself told it: who took it over since stands in `row`."""
    pid, host = (begun.pid, begun.host) if begun else (row.pid, row.host.partition("/")[0])
    return f"process {pid} on {host}"


def _end_run(dead: DeadRun, run: Run | None, where: str) -> None:
    """Put in order what it left, then write how it ended; the record is last, so that an interrupted sweep goes on."""
    way = name_way_on(dead)
    has_lease = ledger().take_lease(dead.environment, dead.run_id) is None  # a person may have unlocked it
    if run is not None:
        kill_left_processes(run.folder)
        terraform.recover_states(run)
        terraform.break_dead_lock(run)
        digest = complete_journal(run)
        if has_lease:
            for step_id in dead.interrupted:
                ledger().finish_step(step_id, "interrupted", digest)
            if dead.is_unbegun:
                way = _begin_unbegun(run) or way
            unwind(run)
    died = PermanentError(f"{dead.environment}: the run died, {where} is gone.", way)
    left = list_left(run) if run and dead.leaves and not dead.resume else {}
    finish(dead.run_id, dead.status or RunStatus.CRASHED, dead.leaves, None if dead.resume else died, left)


def _begin_unbegun(run: Run) -> str:
    """Begin a failover that died before its first step, so that it is unwound forward; else what kept it from that.

    A sweep that was interrupted has begun it already.
    """
    if any(step.undo and step.outcome != "undone" for step in ledger().read_open_steps(run.run_id)):
        return ""
    if _is_cancelled(run.run_id):
        return "It had touched nothing, and it was cancelled: it was not finished."
    try:
        first = judge_unbegun(run)
    except (RefusedError, PermanentError) as refusal:
        return f"It had touched nothing, and it was not finished: {refusal.summary} {refusal.resolution}"
    if first is not None:
        ledger().begin_step(run.run_id, first.name, first.arguments, first.undo)
    return ""


def restore_run(begun: RunRow) -> Run | None:
    """A run as its own process knew it, from the ledger; None for one that never had a spec, and so has no steps.

    RefusedError where its account's block is another place by now, or its calls land elsewhere.
    """
    if begun.spec_version is None:
        return None
    spec = EnvironmentSpec.model_validate_json(ledger().read_spec(begun.environment, begun.spec_version).spec_json)
    generation = ledger().read_generation(begun.environment)
    account = load_account(spec.account).for_run(begun.run_id)
    if generation:
        refuse_other_place(begun.environment, (generation.account, generation.endpoint), (account.name, account.place))
    account.identity()
    known = ledger().read_environment(begun.environment)
    return Run(
        run_id=begun.run_id,
        operation=begun.operation,
        actor=begun.actor,
        spec=spec,
        spec_version=begun.spec_version,
        generation=generation.number if generation else 0,
        origin_run_id=generation.origin_run_id if generation else "",
        status_before=None,
        was_ready=bool(known and known.ready_at),
        plan_id=None,
        named=frozenset(),
        is_upgrade=False,
        account=account,
        folder=read_settings().state_dir / "work" / begun.environment / begun.run_id,
    )


def _remove_folder(folder: Path) -> None:
    if not any(folder.rglob(RESCUED_STATE)):
        shutil.rmtree(folder, ignore_errors=True)


def _is_cancelled(run_id: str) -> bool:
    """Whether somebody wanted it to end, who then wants it not to be finished either."""
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        state = client.read_flow_run(UUID(run_id)).state
        return state is not None and (state.is_cancelling() or state.is_cancelled())
    return False


def _tell_prefect(run_id: str, where: str) -> None:
    """Prefect may still show it as running: where the worker died too, nobody told it."""
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        state = client.read_flow_run(UUID(run_id)).state
        if state is None or not state.is_final():
            client.set_flow_run_state(UUID(run_id), Crashed(message=f"It died: {where} is gone."), force=True)


def report_silent(silent: BegunRun) -> None:
    """Tell of a run that has been silent and cannot be proved dead from here."""
    get_run_logger().warning(
        "Run %s on %s has been silent for %.0f s and cannot be proved dead from this machine. If you know that it is: "
        "terrarium env unlock %s --reason …",
        silent.run_id, silent.environment, silent.silent_seconds, silent.environment,
    )  # fmt: skip


def clear_folders() -> None:
    """Remove the scratch folders of runs that have ended, but for those that hold a state."""
    for folder in (read_settings().state_dir / "work").glob("*/*"):
        with suppress(TerrariumError):
            run = ledger().read_run(folder.name)
            if run and run.finished_at and not find_left_processes(folder):
                _remove_folder(folder)
