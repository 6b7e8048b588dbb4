"""The steps of a drill and of a failover. What a client sees is measured by the probe alone; steps only act.

Between the fault and the switch of the name every millisecond is outage: those steps ask nothing that they need not.
"""

import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.answering import wait_for_silence
from blocks.kept_servers import kill_server
from blocks.postgres.comparison import compare
from blocks.postgres.nodes import fence_node, stop_node
from blocks.postgres.pair_files import Pair
from blocks.postgres.probe import TABLE, Probe, read_time
from blocks.postgres.recovery import check_shut_down
from blocks.postgres.relays import lead_gateway
from blocks.postgres.replication import checkpoint, prepare_primary, promote, read_node, wait_for_replay
from blocks.postgres.session import connect
from blocks.process_folders import list_workers
from blocks.relay import cut_relay, mend_relay
from blocks.settings import read_settings
from domain.drill import Fault
from domain.errors import PermanentError
from domain.pair import Node
from domain.probe_log import count_loss, find_outage
from tasks.known_pair import find_pair
from tasks.pair_order import CATCH_UP_SECONDS
from tasks.retry import REPEATABLE
from tasks.run import Run

#: Rows that the probe has written before anything is touched, and after the name was switched.
ROWS_BEFORE, ROWS_AFTER = 50, 50
#: A client gets so long to find the new primary; then the drill has failed.
VERIFY_SECONDS = 60.0
#: A commit takes no longer than this, beside the ways over the link.
SETTLE_SECONDS = 1.0

#: The probes of this process's runs: a child dies with its run, so nothing else needs to find it.
_PROBES: dict[str, Probe] = {}


@task(**REPEATABLE)
def start_probe(run: Run) -> dict[str, Any]:
    """Start the client outside, and wait until it writes."""
    stop_probe.fn(run)
    settings = read_settings()
    log = settings.state_dir / "drills" / run.environment / f"{run.run_id}.log"
    variables = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **find_pair(run.environment).variables("probe")}
    probe = _PROBES[run.run_id] = Probe(log, run.run_id, settings.probe_pause_ms / 1000, variables)
    probe.wait_for_rows(ROWS_BEFORE)
    return {"probe_log": str(log)}


@task(**REPEATABLE)
def stop_probe(run: Run) -> None:
    """Stop the client outside. One that died with its run is stopped."""
    if probe := _PROBES.pop(run.run_id, None):
        probe.stop()


@task(**REPEATABLE)
def stop_primary(run: Run, node: Node, standby: Node) -> dict[str, Any]:
    """Stop the primary in order, with all that it wrote on the standby: nothing is lost by that."""
    pair = find_pair(run.environment)
    if read_node(pair, node).is_primary:
        checkpoint(pair, node)  # so that the one of the stop has little left to write
        wait_for_replay(pair, node, CATCH_UP_SECONDS)
    broken_at = read_time()
    stop_node(pair, node)
    check_shut_down(pair, node, standby)
    return {"broken_at": broken_at, "detected_at": broken_at}


@task(cache_policy=NO_CACHE)  # a second kill would find nothing to kill
def break_primary(run: Run, node: Node, fault: Fault) -> dict[str, Any]:
    """Let the primary fail, and wait until it counts as lost: asked through its name, as a client would."""
    pair = find_pair(run.environment)
    broken_at = read_time()
    if fault == "killed":
        kill_server(pair.stack, pair.name(node))
    elif fault == "frozen":
        _freeze(pair.server(node).data)
    else:
        for relay in ("link", "gateway"):
            cut_relay(pair.control(relay))
    wait_for_silence(pair.record.host, pair.record.ports.gateway, read_settings().failover_detection_ms / 1000)
    return {"broken_at": broken_at, "detected_at": read_time()}


def _freeze(folder: Path) -> None:
    """As a machine that stands still: no process of the server runs, and none has ended."""
    for pid in list_workers(folder, "postgres"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


@task(**REPEATABLE)
def fence_primary(run: Run, node: Node) -> dict[str, Any]:
    """Make sure that the old primary takes no write any more: killed, and proved dead. PermanentError without proof."""
    killed = fence_node(find_pair(run.environment), node, f"run {run.run_id} promotes the other server")
    return {"fenced_at": read_time(), "killed_processes": killed}


@task(**REPEATABLE)
def promote_standby(run: Run, node: Node) -> dict[str, Any]:
    """Make the standby the primary; it takes writes when this returns."""
    promote(find_pair(run.environment), node)
    return {"promoted_at": read_time()}


@task(**REPEATABLE)
def switch_name(run: Run, node: Node) -> dict[str, Any]:
    """Lead the environment's database name to the new primary; connections to the old one are broken off."""
    pair = find_pair(run.environment)
    lead_gateway(pair, node)
    switched_at = read_time()
    mend_relay(pair.control("gateway"))  # one that a drill cut; whoever waited in it is led to the new primary
    prepare_primary(pair, node)
    return {"switched_at": switched_at}


@task(**REPEATABLE)
def verify_writes(run: Run, node: Node) -> dict[str, Any]:
    """See that clients write through the name again, and to that server."""
    pair = find_pair(run.environment)
    probe = _PROBES.get(run.run_id)
    if probe is not None:
        probe.wait_for_rows(ROWS_AFTER, after=read_time(), timeout_seconds=VERIFY_SECONDS)
    with connect(pair) as session:
        row = session.execute("SELECT pg_is_in_recovery(), current_setting('cluster_name')").fetchone()
    if row != (False, pair.name(node)):
        raise PermanentError(
            f"{run.environment}: its database name leads to {row}, not to the primary {node}.",
            f"`terrarium failover {run.environment} --reason …` again converges.",
        )
    return {"verified_at": read_time()}


@task(cache_policy=NO_CACHE)
def measure_loss(run: Run, node: Node) -> dict[str, Any]:
    """Stop the client, and compare what it was told with the rows that are there."""
    probe = _PROBES.get(run.run_id)
    if probe is None:
        raise PermanentError(f"{run.environment}: the drill's probe is gone.", "Its process has ended: drill again.")
    log = probe.stop()
    outage = find_outage(log)
    assert outage is not None, "it had rows acknowledged before and after"
    with connect(find_pair(run.environment), at=node) as session:
        rows = session.execute(f"SELECT number FROM {TABLE} WHERE run_id = %s", (run.run_id,))  # noqa: S608 - a constant
        loss = count_loss(log, {number for (number,) in rows})
    return {
        "rto_seconds": round(outage.seconds, 6),
        "outage_began_at": outage.began_at,
        "outage_ended_at": outage.ended_at,
        "rpo_rows": len(loss.lost),
        "rpo_seconds": round(loss.seconds, 6),
        "in_doubt_rows": len(loss.in_doubt),
        "in_doubt_found": loss.in_doubt_found,
        "acknowledged_rows": len(log.acknowledged),
        "probe_log_sha256": hashlib.sha256(probe.log.read_bytes()).hexdigest(),
    }


@task(**REPEATABLE)
def compare_sides(run: Run, primary: Node, standby: Node) -> dict[str, Any]:
    """Compare every row of both sides after the failback."""
    pair: Pair = find_pair(run.environment)
    with connect(pair, at=primary) as left, connect(pair, at=standby) as right:
        found = compare(left, right, CATCH_UP_SECONDS, SETTLE_SECONDS + 4 * pair.record.spec.link_delay_ms / 1000)
    return {
        "diverged_rows_after_failback": found.diverged,
        "compared_rows": found.rows,
        "compared_tables": found.tables,
    }
