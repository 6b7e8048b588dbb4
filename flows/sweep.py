"""The sweep: runs that died are ended from the ledger alone, runs that are silent without a proof are reported.

What looks every minute is one run, `keep_house`: each run of Prefect's costs its server more than the look itself.
"""

from typing import Any

from prefect import flow

from domain.sweep import decide_sweep
from flows.teardown import expire_environments
from tasks.sweep import clear_folders, read_begun, read_silence_seconds, report_silent, sweep_run


@flow(name="sweep_runs", flow_run_name="look for dead runs")
def sweep_runs() -> list[Any]:
    """End the runs whose process is proved dead, and report those that are silent; nothing is done to living runs.

    One that cannot be ended now keeps no other from it: it fails this flow, and is tried again by the next.
    """
    plan = decide_sweep(read_begun(), read_silence_seconds())
    for silent in plan.silent:
        report_silent(silent)
    swept = [sweep_run(dead, return_state=True) for dead in plan.dead]
    clear_folders()
    return swept


@flow(name="keep_house", flow_run_name="look for dead runs and expired environments")
def keep_house() -> list[Any]:
    """Sweep, then end temporary environments. Where one of them fails, the other is done, and this flow has failed."""
    try:
        return sweep_runs.fn()
    finally:
        expire_environments.fn()
