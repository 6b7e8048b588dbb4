"""The database pair of an environment: observed, made, filled, verified, removed. Each undo stands below its act."""

from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task

from blocks.postgres import pair as pairs
from blocks.postgres.account import choose_account, find_reachable
from blocks.postgres.archive import is_archive_current, keep_archive
from blocks.postgres.nodes import are_nodes_current
from blocks.postgres.pair_files import Pair, open_pair, read_record
from blocks.postgres.replication import read_primary, read_state, wait_for_replay
from blocks.postgres.session import connect, translate_errors
from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import read_settings
from blocks.supervisor import Stack, read_stack
from domain.errors import PermanentError
from domain.pair import NODES, PairSpec
from domain.pair_plan import ObservedPair, decide_pair, read_wanted
from domain.status import Operation
from tasks.retry import REPEATABLE
from tasks.run import Run, read_clock

#: Which example rows a new pair gets: the same for everybody.
SEED = 7
REPLAY_SECONDS = 300.0


def observe_pair(run: Run) -> ObservedPair:
    """The pair that an environment has on this machine, and why there could be none."""
    stack = find_stack(run)
    record = read_record(stack, run.environment) if stack else None
    if stack is None or record is None:
        is_asked = read_wanted(run.spec) is not None
        return ObservedPair(hindrance="" if stack or not is_asked else _tell_hindrance(run))
    return observe_servers(run)


@task(**REPEATABLE)
def observe_servers(run: Run) -> ObservedPair:
    """How both servers, the gateway and the link answer."""
    pair = open_environments_pair(run)
    is_current = is_archive_current(pair, run.account) and are_nodes_current(pair)
    return ObservedPair(record=pair.record, state=read_state(pair), is_current=is_current)


@task(**REPEATABLE)
def create_pair(run: Run, wanted: dict[str, Any]) -> dict[str, Any]:
    """A primary and a standby that streams from it, behind the gateway; what is there is brought to its spec."""
    pair = pairs.create_pair(
        _stack(run),
        run.environment,
        PairSpec.model_validate(wanted),
        run.run_id,
        find_programs(),
        read_settings().pair_port,
        read_clock(),
    )
    keep_archive(pair, run.account)
    return {"pair": {"ports": pair.record.ports.model_dump(), "system_identifier": pair.record.system_identifier}}


@task(**REPEATABLE)
def delete_unready_pair(run: Run) -> None:
    """Remove a pair that never was ready. One that was holds data, and stays."""
    stack = find_stack(run)
    record = read_record(stack, run.environment) if stack else None
    if stack is None or (record and record.is_ready):
        return
    pairs.delete_pair(stack, run.environment)


@task(**REPEATABLE)
def fill_pair(run: Run, rows: int) -> dict[str, Any]:
    """Fill a new pair with the example's data, all of it or nothing. One that has the tables is filled."""
    pair = open_environments_pair(run)
    filled = _fill(pair, rows, read_clock().replace(microsecond=0))
    pairs.mark_filled(pair, filled)
    return {"example_rows": filled}


@task(**REPEATABLE)
def verify_pair(run: Run) -> dict[str, Any]:
    """Ask both servers; the pair is ready when the standby has applied all that the primary wrote.

    PermanentError where the pair is not whole.
    """
    pair = open_environments_pair(run)
    primary = read_primary(pair)
    state = read_state(pair)
    if any(one.is_fenced for one in state.nodes):
        get_run_logger().warning(
            "A server of %s's pair is fenced: it has no standby until the failback.", run.environment
        )
    else:
        wait_for_replay(pair, primary, REPLAY_SECONDS)
        state = read_state(pair)
        if not state.is_whole:
            raise PermanentError(
                f"{run.environment}: its database pair is not whole: {state.model_dump(mode='json')}.",
                f"`make status` shows its servers, and their logs say more. Then apply again: `terrarium env apply "
                f"{run.environment}`.",
            )
    pairs.mark_ready(pair, keep_archive(pair, run.account))
    return {"pair_primary": primary}


@task(**REPEATABLE)
def delete_pair(run: Run) -> dict[str, Any]:
    """Stop and remove both servers with their data, the gateway, the link and the uploader."""
    stack = find_stack(run)
    if stack is None:
        return {"pair_removed": False}
    return {"pair_removed": pairs.delete_pair(stack, run.environment)}


def describe_pair(run: Run) -> tuple[dict[str, str], str]:
    """For the report: where clients find the pair and how they connect, without a password; and its version.

    Both are empty where there is none, but for what a plan would do about it.
    """
    steps = list(decide_pair(run.spec, observe_pair(run))) if run.operation == Operation.PLAN else []
    planned = {"applying would do": ", ".join(step.name for step in steps)} if steps else {}
    stack = find_stack(run)
    record = read_record(stack, run.environment) if stack else None
    if stack is None or record is None:
        return planned, ""
    pair = open_environments_pair(run)
    about = planned | {
        "endpoint": f"{record.host}:{record.ports.gateway} (the gateway: it leads to the primary)",
        "connect": f'psql "{pair.describe_connection("app")}"',
        "passwords": f"{pair.passfile}, for who ran `make up` alone",
        **{f"server {node}": f"{record.host}:{record.ports.of(node)}, for {record.region_of(node)}" for node in NODES},
        "WAL archive": f"s3://{run.account.vault_bucket}/{record.archive_prefix}",
    }
    return about, pair.server("a").read_version()


def open_environments_pair(run: Run) -> Pair:
    """The pair of a run's environment. PermanentError where it has none."""
    return open_pair(_stack(run), run.environment, find_programs())


def find_stack(run: Run) -> Stack | None:
    """The local stack that keeps an emulated environment's servers; None elsewhere."""
    if run.account.kind != "emulator" or not (read_settings().state_dir / "stack.json").exists():
        return None
    return read_stack(read_settings())


def find_programs() -> Path:
    """PostgreSQL's programs, where the servers' account can reach them: `make up` has brought them there."""
    settings = read_settings()
    found, folder = find_postgres_binaries(settings.postgres_bin_dir), read_stack(settings).database_dir
    return find_reachable(found, folder, choose_account())


def _stack(run: Run) -> Stack:
    stack = find_stack(run)
    if stack is None:
        raise PermanentError(
            f"{run.environment}: its database pair is of the local stack, which is not on this machine.",
            "Run it where `make up` was run, or set database.provider: rds.",
        )
    return stack


def _tell_hindrance(run: Run) -> str:
    if run.account.kind != "emulator":
        return f"account {run.account.name} is a real one"
    return "no local stack of `make up` is here to keep its servers"


def _fill(pair: Pair, rows: int, until: datetime) -> int:
    from examples.travelblog.generator import COLUMNS, CONSTRAINTS, SCHEMA, generate_rows

    with translate_errors(f"{pair.environment}: filling its database pair"), connect(pair, "app") as session:
        if session.execute("SELECT to_regclass('bookings')").fetchone() == (None,):
            with session.transaction():
                session.execute(SCHEMA)
                for table, chunks in generate_rows(rows, SEED, until):
                    with session.cursor().copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as copy:
                        for chunk in chunks:
                            copy.write(chunk)
                session.execute(CONSTRAINTS)
        counts = [session.execute(f"SELECT count(*) FROM {table}").fetchone() for table in COLUMNS]  # noqa: S608 - our names
    return sum(row[0] for row in counts if row)
