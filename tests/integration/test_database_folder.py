"""Where PostgreSQL's files are when another user than root must reach them."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from blocks.postgres.account import choose_account
from blocks.postgres_binaries import find_postgres_binaries
from deployments.local.credentials import Credentials
from deployments.local.database_folder import SYSTEM_STATE, create_database_folder
from deployments.local.postgres import create_cluster

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root runs PostgreSQL as another user")


def test_a_closed_home_moves_the_database_out() -> None:
    """Below a folder of mode 0700 the database goes to a folder of its own in the system's state directory."""
    state_dir = Path(tempfile.mkdtemp(prefix="terrarium-closed-")) / "state"  # mkdtemp's mode is 0700
    state_dir.mkdir()
    database = create_database_folder(state_dir, find_postgres_binaries(), choose_account())
    try:
        assert database.folder.parent == SYSTEM_STATE
        create_cluster(database, Credentials())
        told = database.run("pg_controldata", "-D", "data").stdout
        assert re.search(r"^Data page checksum version: +1$", told, flags=re.MULTILINE)
    finally:
        shutil.rmtree(database.folder)
        shutil.rmtree(state_dir.parent)


def test_programs_that_the_account_cannot_enter_are_copied() -> None:
    """The wheel's PostgreSQL in a closed checkout runs from a copy beside the database."""
    closed = Path(tempfile.mkdtemp(prefix="terrarium-closed-"))
    programs = closed / "wheel" / "bin"
    programs.mkdir(parents=True)
    shutil.copy("/bin/true", programs / "postgres")
    state_dir = closed / "state"
    state_dir.mkdir()
    database = create_database_folder(state_dir, programs, choose_account())
    try:
        assert not database.programs.is_relative_to(closed)
        assert database.run("postgres").returncode == 0
    finally:
        shutil.rmtree(database.folder)
        shutil.rmtree(closed)


def test_a_lost_state_folder_gets_new_passwords_for_the_same_databases() -> None:
    """The cluster outlives the credentials: they are set anew, and the data stays."""
    folder = Path(tempfile.mkdtemp(prefix="terrarium-open-"))
    folder.chmod(0o711)
    database = create_database_folder(folder, find_postgres_binaries(), choose_account())
    try:
        create_cluster(database, Credentials())
        made = (database.data / "PG_VERSION").stat().st_ino
        later = Credentials()
        create_cluster(database, later)
        assert (database.folder / "stack").read_text() == later.stack_id
        assert (database.data / "PG_VERSION").stat().st_ino == made
    finally:
        shutil.rmtree(folder)
