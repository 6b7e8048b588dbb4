"""The servers of the local stack as data: what they listen on, what they may see, and how the supervisor reads it."""

import configparser
from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from blocks.postgres.account import Account
from blocks.postgres.cluster import ServerFolder
from blocks.settings import Settings
from deployments.catalog import WORK_POOL
from deployments.local import programs as local_programs
from deployments.local.credentials import Credentials
from deployments.local.layout import Layout
from deployments.local.programs import Program, list_programs, render_supervisor

DECOYS = {
    "AWS_ACCESS_KEY_ID": "decoy",
    "AWS_PROFILE": "decoy",
    "PREFECT_API_KEY": "decoy",
    "TF_CLI_ARGS": "decoy",
    "HTTPS_PROXY": "decoy",
    "https_proxy": "decoy",
    "PYTHONPATH": "decoy",
}


@pytest.fixture
def credentials() -> Credentials:
    """New ones."""
    return Credentials()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a stack in a folder of its own."""
    return Settings(state_dir=tmp_path)


@pytest.fixture
def programs(settings: Settings, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """The servers as a user with many variables would start them."""
    for name, value in DECOYS.items():
        monkeypatch.setenv(name, value)
    database = ServerFolder(settings.state_dir / "postgres", Path("/usr/bin"), Account("postgres", 26, 26))
    return list_programs(settings, credentials, database)


def read_config(programs: list[Program], settings: Settings, stack_id: str) -> configparser.ConfigParser:
    """The rendered configuration, with `%%` read as `%` the way the supervisor does."""
    config = configparser.ConfigParser()
    config.read_string(render_supervisor(programs, settings, stack_id))
    return config


def test_servers_listen_on_the_one_host_of_the_settings(programs: list[Program], settings: Settings) -> None:
    """Nothing of the stack is reachable from another machine."""
    for program in programs:
        texts = [*program.command, *program.environment.values()]
        assert any(settings.host in text for text in texts), program.name
        assert not any("0.0.0.0" in text for text in texts), program.name  # noqa: S104 - looked for, not bound


def test_nothing_of_the_users_environment_reaches_a_server(programs: list[Program]) -> None:
    """The user's accounts, profile and proxies belong to the user."""
    for program in programs:
        assert "decoy" not in program.environment.values(), program.name


def test_another_terminal_finds_the_same_servers(
    settings: Settings, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `make up` again, from another terminal or with more patience, would start every server anew."""
    database = ServerFolder(settings.state_dir / "postgres", Path("/usr/bin"))
    before = render_supervisor(list_programs(settings, credentials, database), settings, credentials.stack_id)
    for name, value in {"PATH": "/elsewhere:/bin", "TERM": "dumb", "LANG": "de_DE.UTF-8", "SHELL": "/bin/fish"}.items():
        monkeypatch.setenv(name, value)
    patient = settings.model_copy(update={"start_timeout_seconds": 7.0, "stop_timeout_seconds": 7.0})
    assert render_supervisor(list_programs(patient, credentials, database), patient, credentials.stack_id) == before


def test_a_password_is_in_no_command(programs: list[Program], credentials: Credentials) -> None:
    """Everybody on a machine can read the commands of its processes."""
    secrets = [value for name, value in credentials.model_dump().items() if name != "stack_id"]
    commands = " ".join(part for program in programs for part in program.command)
    assert [secret for secret in secrets if secret in commands] == []


def test_only_the_server_knows_the_prefect_database(programs: list[Program], credentials: Credentials) -> None:
    """A flow that could write Prefect's tables could forge its own history."""
    knowing = [program.name for program in programs if credentials.prefect_database in str(program.environment)]
    assert knowing == ["prefect"]


def test_the_supervisor_reads_back_every_variable(settings: Settings) -> None:
    """Percent signs, commas, spaces and quotes inside a value survive the supervisor's own syntax."""
    environment = {"A": "50%,x=1", "B": 'say "hi" now', "C": "it's", "D": "%(here)s"}
    program = Program("one", ("run", "a b", "50%"), environment, 1, "SETTING")
    config = read_config([program], settings, "id")
    assert dict_of_key_value_pairs(config["program:one"]["environment"]) == environment
    assert config["program:one"]["command"] == "run 'a b' 50%"


def test_postgres_runs_as_its_account_and_ends_its_sessions(programs: list[Program], settings: Settings) -> None:
    """As root PostgreSQL does not start; with TERM it would wait for clients that stay."""
    section = read_config(programs, settings, "id")["program:postgres"]
    assert (section["user"], section["stopsignal"]) == ("postgres", "INT")


def test_nothing_starts_before_the_one_it_needs_is_healthy(programs: list[Program], settings: Settings) -> None:
    """`up` starts each server; afterwards the supervisor starts again what ends by itself."""
    config = read_config(programs, settings, "id")
    sections = [config[f"program:{program.name}"] for program in programs]
    assert {(section["autostart"], section["autorestart"]) for section in sections} == {("false", "true")}


def test_the_worker_polls_the_pool_of_the_catalog() -> None:
    """The name is written twice, for a reason given where it is."""
    assert local_programs.WORK_POOL == WORK_POOL


def test_a_deep_checkout_has_its_socket_elsewhere(tmp_path: Path) -> None:
    """A socket's address is short, and two deep checkouts do not share one."""
    near, deep, other = (Layout(Path("/a")), Layout(tmp_path / ("x" * 120)), Layout(tmp_path / ("y" * 120)))
    assert near.supervisor_socket == Path("/a/supervisor.sock")
    assert len(str(deep.supervisor_socket)) < 100
    assert deep.supervisor_socket != other.supervisor_socket


def test_two_users_of_a_machine_share_no_temporary_folder(programs: list[Program], settings: Settings) -> None:
    """Prefect's worker makes a folder of a fixed name in TMPDIR, which the second user could not enter."""
    worker = next(program for program in programs if program.name == "worker")
    assert worker.environment["TMPDIR"] == str(Layout(settings.state_dir).temporary)
    assert Layout(settings.state_dir).temporary != Layout(settings.state_dir / "another").temporary
