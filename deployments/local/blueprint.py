"""The local stack as its settings make it: servers, folders, credentials, and stack.json for who talks to it."""

import platform
from dataclasses import dataclass
from importlib.metadata import version

from blocks.openbao_binary import find_openbao
from blocks.postgres.account import choose_account
from blocks.postgres.cluster import ServerFolder
from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import CHECKOUT, Settings
from blocks.supervisor import Stack
from blocks.terraform_binary import find_terraform
from deployments.local.certificate import write_certificate
from deployments.local.credentials import Credentials, create_credentials
from deployments.local.database_folder import create_database_folder
from deployments.local.layout import Layout
from deployments.local.programs import WORK_POOL, Program, list_programs


@dataclass(frozen=True)
class Blueprint:
    """All that `up` needs to know. `settings` name the programs that were found; `stack`, for others, has no secret."""

    settings: Settings
    layout: Layout
    credentials: Credentials
    database: ServerFolder
    programs: list[Program]
    stack: Stack


def draw_blueprint(settings: Settings) -> Blueprint:
    """Make the folders and the credentials where they are not there, and describe the servers; nothing is started.

    Programs are found here, while the environment is still the user's: a server knows no PATH but the system's.
    """
    terraform = find_terraform(settings.terraform_path, settings.terraform_version)
    vault = find_openbao(settings.vault_path)
    settings = settings.model_copy(update={"terraform_path": terraform, "vault_path": vault})
    layout = Layout(settings.state_dir)
    layout.create()
    write_certificate(layout.prefect_certificate)
    credentials = create_credentials(layout)
    postgres = find_postgres_binaries(settings.postgres_bin_dir)
    database = create_database_folder(settings.state_dir, postgres, choose_account())
    # What flows start PostgreSQL's servers with has to be within reach of their account too.
    settings = settings.model_copy(update={"postgres_bin_dir": database.programs})
    programs = list_programs(settings, credentials, database)
    stack = _describe_stack(settings, credentials, database, programs)
    return Blueprint(settings, layout, credentials, database, programs, stack)


def write_stack(blueprint: Blueprint) -> None:
    """Write stack.json, whole or not at all."""
    new = blueprint.layout.stack.with_suffix(".new")
    new.write_text(blueprint.stack.model_dump_json(indent=2) + "\n")
    new.replace(blueprint.layout.stack)


def _describe_stack(
    settings: Settings, credentials: Credentials, database: ServerFolder, programs: list[Program]
) -> Stack:
    return Stack(
        checkout=CHECKOUT,
        state_dir=settings.state_dir,
        stack_id=credentials.stack_id,
        supervisor_socket=Layout(settings.state_dir).supervisor_socket,
        database_dir=database.folder,
        host=settings.host,
        work_pool=WORK_POOL,
        prefect_has_password=settings.prefect_has_password,
        prefect_url=settings.prefect_url,
        api_url=settings.api_url,
        emulator_url=settings.emulator_url,
        ports={program.name: program.port for program in programs},
        versions=_read_versions(database),
    )


def _read_versions(database: ServerFolder) -> dict[str, str]:
    packages = {name: version(name) for name in ("terrarium", "prefect", "moto", "supervisor")}
    return packages | {"python": platform.python_version(), "postgres": database.read_version()}
