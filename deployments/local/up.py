"""`make up`: every server to health in order, each only where it is not healthy already. Safe to run again."""

import asyncio
import os
import time
from collections.abc import Callable

from blocks.openbao_binary import BUILD_COMMAND
from blocks.private_files import write_private
from blocks.settings import Settings, read_settings
from blocks.supervisor import Stack
from deployments.first_token import record_first_token
from deployments.local.blueprint import Blueprint, draw_blueprint, write_stack
from deployments.local.environment import build_own_environment, database_url
from deployments.local.kept import start_kept
from deployments.local.ports import check_port
from deployments.local.postgres import create_cluster
from deployments.local.prefect_pages import restrict_pages
from deployments.local.processes import end_processes, find_processes
from deployments.local.programs import Program, render_supervisor
from deployments.local.supervision import (
    SETTLED,
    is_supervisor_running,
    read_state,
    start_part,
    start_supervisor,
    stop_part,
    update_supervisor,
    wait_for_health,
)

# A running server that does not answer for this long is started anew.
PATIENCE_SECONDS = 10.0
ORPHAN_GRACE_SECONDS = 10.0

Report = Callable[[str], None]


def start_stack(settings: Settings, report: Report) -> Stack:
    """Bring all servers to health, register what they must know, and tell what happened, one line each.

    From here on this process has the stack's environment in place of the user's.
    """
    blueprint = draw_blueprint(settings)
    environment = build_own_environment(blueprint.settings, blueprint.credentials, os.environ)
    os.environ.clear()
    os.environ.update(environment)
    read_settings.cache_clear()
    _start_supervision(blueprint, report)
    for program in blueprint.programs:
        _bring_up(blueprint, program, report)
        if prepare := PREPARATIONS.get(program.name):
            prepare(blueprint, report)
    return blueprint.stack


def _start_supervision(blueprint: Blueprint, report: Report) -> None:
    """A running supervisor takes in what changed. Before a new one starts, what a crashed one left behind is ended."""
    stack = blueprint.stack
    text = render_supervisor(blueprint.programs, blueprint.settings, stack.stack_id)
    write_stack(blueprint)
    write_private(blueprint.layout.supervisor_config, text)
    if is_supervisor_running(stack):
        return update_supervisor(stack, blueprint.settings.stop_timeout_seconds)
    if orphans := find_processes(stack.stack_id):
        report(f"Ending {len(orphans)} processes that a crash of this stack left behind.")
        end_processes(orphans, ORPHAN_GRACE_SECONDS)
    for program in blueprint.programs:
        check_port(stack.host, program.port, program.name, program.port_setting)
    create_cluster(blueprint.database, blueprint.credentials)
    return start_supervisor(stack, blueprint.layout.supervisor_config, os.environ)


def _bring_up(blueprint: Blueprint, program: Program, report: Report) -> None:
    """Leave a healthy server alone, start one that stands, start anew one that does not answer."""
    stack, began = blueprint.stack, time.monotonic()
    if read_state(stack, program.name) not in SETTLED:
        if wait_for_health(stack, program.name, PATIENCE_SECONDS):
            return report(f"{program.name} is running on port {program.port}.")
        stop_part(stack, program.name, blueprint.settings.stop_timeout_seconds)
    check_port(stack.host, program.port, program.name, program.port_setting)
    start_part(stack, program.name, blueprint.settings.start_timeout_seconds)
    return report(f"{program.name} started on port {program.port} in {time.monotonic() - began:.1f} s.")


def _prepare_ledger(blueprint: Blueprint, report: Report) -> None:
    """Bring the private ledger's schema up to date, and give the first token.

    A ledger that the user named is its owner's to migrate.
    """
    from blocks.ledger import open_ledger
    from deployments.local.upgrade import upgrade_ledger

    settings = blueprint.settings
    if not settings.ledger_url.get_secret_value():
        url = database_url(settings, "terrarium_owner", blueprint.credentials.ledger_owner)
        programs, folder = blueprint.database.programs, blueprint.layout.upgrades
        upgrade_ledger(url, "terrarium_app", programs, folder, settings.upgrade_dumps_kept, report)
    with open_ledger(os.environ["TERRARIUM_LEDGER_URL"]) as ledger:
        if name := record_first_token(ledger, blueprint.layout.token):
            report(f"The token in {blueprint.layout.token} is {name}: an administrator's, for you alone.")


def _prepare_prefect(blueprint: Blueprint, report: Report) -> None:
    """Prefect is imported only now: it reads its settings from the environment when it is imported."""
    from deployments.registration import describe_processes, register_deployments

    restrict_pages(blueprint.settings)
    if blueprint.settings.vault_path is None:
        from deployments.local.vault import forget_vault

        forget_vault(blueprint.settings)
        report(f"No OpenBao here: the stack goes without a Vault. To have one: {BUILD_COMMAND}")
    if changed := asyncio.run(register_deployments(describe_processes(), blueprint.settings.runs_at_once)):
        report(f"Deployments registered: {', '.join(changed)}.")


def _prepare_vault(blueprint: Blueprint, report: Report) -> None:
    """After Prefect, which keeps the block that says where the Vault is."""
    from deployments.local.vault import prepare_vault

    prepare_vault(blueprint.settings)


def _start_kept(blueprint: Blueprint, report: Report) -> None:
    """After the emulator, which has their archive."""
    start_kept(blueprint.stack, blueprint.settings, report)


PREPARATIONS: dict[str, Callable[[Blueprint, Report], None]] = {
    "postgres": _prepare_ledger,
    "emulator": _start_kept,
    "prefect": _prepare_prefect,
    "vault": _prepare_vault,
}
