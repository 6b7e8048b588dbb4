"""Backup of the control plane and its restore, on a real PostgreSQL with Prefect's own schema and a told ledger."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from blocks.ledger import open_ledger
from blocks.ledger.migrate import migrate
from blocks.settings import CHECKOUT
from console.cli import run
from deployments.local.backup import list_urls, write_backup
from deployments.local.blueprint import Blueprint, draw_blueprint, write_stack
from deployments.local.environment import build_prefect_server_environment
from deployments.local.layout import Layout
from deployments.local.postgres import create_cluster
from deployments.local.restore import restore_backup, serve
from domain.errors import PermanentError, RefusedError
from tests.stack import LocalStack, create_stack
from tests.told_ledger import tell_all

pytestmark = pytest.mark.xdist_group("control_plane")


@pytest.fixture(scope="module")
def own_stack() -> Iterator[LocalStack]:
    """A stack of which only the databases are ever made."""
    local_stack = create_stack()
    try:
        yield local_stack
    finally:
        local_stack.remove()


@pytest.fixture(scope="module")
def blueprint(own_stack: LocalStack, terraform_program: Path) -> Blueprint:
    """Databases as `make up` makes them: Prefect's tables by Prefect, a record of every kind in the ledger."""
    settings = own_stack.settings.model_copy(update={"terraform_path": terraform_program})
    blueprint = draw_blueprint(settings)
    write_stack(blueprint)
    create_cluster(blueprint.database, blueprint.credentials)
    with serve(blueprint):
        urls = list_urls(settings, blueprint.credentials)
        migrate(urls["terrarium"], "terrarium_app")
        with open_ledger(urls["terrarium"]) as ledger:
            tell_all(ledger)
        own = build_prefect_server_environment(settings, blueprint.credentials)
        home = {"PREFECT_HOME": str(Layout(settings.state_dir).prefect_home)}
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(command, env=os.environ | own | home, cwd=CHECKOUT, check=True, capture_output=True, timeout=300)
        _execute(blueprint, "INSERT INTO variable (name, value) VALUES ('before', '1')")
    return blueprint


@pytest.fixture(scope="module")
def backup(blueprint: Blueprint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup in a folder."""
    folder = tmp_path_factory.mktemp("backup")
    with serve(blueprint):
        write_backup(blueprint, folder, datetime.now(UTC))
    return folder


def _execute(blueprint: Blueprint, statement: str) -> list[tuple[Any, ...]]:
    """A statement in Prefect's database."""
    url = list_urls(blueprint.settings, blueprint.credentials)["prefect"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []


def read_variables(blueprint: Blueprint) -> set[str]:
    """Names of Prefect's variables."""
    return {row[0] for row in _execute(blueprint, "SELECT name FROM variable")}


def test_a_backup_is_its_users_alone_and_says_what_it_is(backup: Path) -> None:
    """Mode 0600; a manifest with the sha256 of both dumps and the head of the chain; no password in it."""
    assert {file.name for file in backup.iterdir()} == {"manifest.json", "prefect.dump", "terrarium.dump"}
    assert {file.stat().st_mode & 0o777 for file in backup.iterdir()} == {0o600}
    manifest = json.loads((backup / "manifest.json").read_text())
    assert manifest["files"].keys() == {"prefect.dump", "terrarium.dump"}
    assert manifest["head_seq"] > 20


def test_both_databases_come_back(blueprint: Blueprint, backup: Path) -> None:
    """What was written since is gone, the chain is whole and goes on for the application; Prefect's tables too."""
    settings, urls = blueprint.settings, list_urls(blueprint.settings, blueprint.credentials)
    with serve(blueprint):
        _execute(blueprint, "INSERT INTO variable (name, value) VALUES ('after', '1')")
        with open_ledger(urls["terrarium"]) as ledger:
            ledger.add_spec("later", "{}", "", "ada")
    with pytest.raises(RefusedError, match="Give --yes"):
        restore_backup(settings, backup, may_overwrite=False)
    answer = restore_backup(settings, backup, may_overwrite=True)
    assert answer["head_seq"] == json.loads((backup / "manifest.json").read_text())["head_seq"]
    app = urls["terrarium"].replace("terrarium_owner", "terrarium_app")
    app = app.replace(blueprint.credentials.ledger_owner, blueprint.credentials.ledger_app)
    with serve(blueprint):
        assert read_variables(blueprint) == {"before"}
        with open_ledger(app) as ledger:
            assert ledger.verify_chain() is None
            assert "later" not in {row.environment for row in ledger.list_events(limit=1000)}
            ledger.add_spec("dev", '{"class":"dev"}', "", "ada")
            assert ledger.verify_chain() is None
        with open_ledger(f"{urls['terrarium']}_replaced") as replaced:
            assert replaced.list_events("later") != []
        assert _execute(blueprint, "SELECT extname FROM pg_extension WHERE extname = 'pg_trgm'") != []


def test_a_damaged_backup_is_refused(blueprint: Blueprint, backup: Path, tmp_path: Path) -> None:
    """One byte, a missing file, another key: refused before anything is touched."""
    copy = tmp_path / "copy"
    for name in ("terrarium.dump", "prefect.dump"):
        copy.mkdir(exist_ok=True)
        for file in backup.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(RefusedError, match=f"damaged: {name}"):
            restore_backup(blueprint.settings, copy, may_overwrite=True)
        (copy / name).unlink()
        with pytest.raises(RefusedError, match=f"damaged: {name}"):
            restore_backup(blueprint.settings, copy, may_overwrite=True)
    manifest = json.loads((backup / "manifest.json").read_text())
    for file in backup.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"encryption_key": "0" * 16}))
    with pytest.raises(RefusedError, match="another encryption key"):
        restore_backup(blueprint.settings, copy, may_overwrite=True)
    (copy / "manifest.json").write_text(json.dumps(manifest | {"head_hash": "0" * 64}))
    with pytest.raises(PermanentError, match="is broken"):
        restore_backup(blueprint.settings, copy, may_overwrite=True)
    with pytest.raises(PermanentError, match="is no backup"):
        restore_backup(blueprint.settings, tmp_path, may_overwrite=True)


def test_a_running_stack_is_not_restored(blueprint: Blueprint, backup: Path) -> None:
    """Its servers hold the databases: refused with the way."""
    mark = {"TERRARIUM_STACK": blueprint.stack.stack_id, "PATH": os.environ["PATH"]}
    running = subprocess.Popen(["sleep", "60"], env=mark)
    try:
        with pytest.raises(RefusedError, match="make down"):
            restore_backup(blueprint.settings, backup, may_overwrite=True)
    finally:
        running.kill()
        running.wait()


def test_the_command_line_takes_and_restores(
    blueprint: Blueprint, own_stack: LocalStack, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """`terrarium backup control-plane --to` and `restore`, with the codes of the house, while the API is away."""
    for name, value in own_stack.variables.items():
        monkeypatch.setenv(name, value)
    with serve(blueprint):
        assert run(["backup", "control-plane", "--to", str(tmp_path), "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)
    assert Path(taken["location"]).parent == tmp_path
    assert Path(taken["location"]).stat().st_mode & 0o777 == 0o700
    assert run(["backup", "restore", taken["location"], "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "refused"
    assert run(["backup", "restore", taken["location"], "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["head_seq"] >= taken["head_seq"]
