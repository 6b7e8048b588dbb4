"""Looks for secrets in every place that a stack writes to or answers from, however they are written there.

A canary is found as it is, in hexadecimal (as PostgreSQL shows bytes), in base64 at any offset (as Prefect keeps
results), and inside zip and gzip files (as Terraform keeps plans). Where secrets are kept on purpose is no place: the
emulator's memory, and the answers of Vault and of Secrets Manager. Vault's storage is one: it is encrypted.
"""

import base64
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from blocks.aws import AwsAccount
from deployments.local.credentials import Credentials
from deployments.local.environment import database_url
from deployments.local.layout import Layout
from deployments.local.processes import find_processes
from tests.stack import LocalStack

#: Kind of place, what it is there, its content.
Piece = tuple[str, str, bytes]

#: Addresses that have nothing to tell of environments that nobody drills.
UNDRILLED = frozenset({"/api/drills/{run_id}"})


@dataclass(frozen=True)
class Hit:
    """A canary that was found: which, in which kind of place, and where there."""

    canary: str
    place: str
    where: str


@dataclass(frozen=True)
class Places:
    """All that a stack and an account of its emulator hold and tell, beside what keeps secrets on purpose."""

    stack: LocalStack
    account: AwsAccount
    environments: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    untold: frozenset[str] = UNDRILLED

    def find(self, canaries: Mapping[str, str]) -> set[Hit]:
        """Every place that has one of the canaries (their names are what a hit tells)."""
        variants = {name: list(_write_variants(value.encode())) for name, value in canaries.items()}
        return {
            Hit(name, place, where)
            for place, where, content in self._read()
            for name, wanted in variants.items()
            if any(variant in content for variant in wanted)
        }

    def _read(self) -> Iterator[Piece]:
        yield from self._read_databases()
        yield from self._read_buckets()
        yield from self._read_files()
        yield from self._read_api()
        yield from self._read_prefect()
        yield from self._read_processes()

    def _read_databases(self) -> Iterator[Piece]:
        """Every row of every table, as PostgreSQL writes it."""
        settings = self.stack.settings
        credentials = Credentials.model_validate_json(Layout(settings.state_dir).credentials.read_text())
        ledger = database_url(settings, "terrarium_owner", credentials.ledger_owner)
        prefect = database_url(settings, "prefect", credentials.prefect_database, "prefect")
        for place, url in (("ledger", ledger), ("Prefect's database", prefect)):
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                for table in _list_tables(connection):
                    rows = connection.execute(f"SELECT t::text FROM {table} t").fetchall()  # noqa: S608 - from the catalog
                    yield place, table, "\n".join(row[0] for row in rows).encode()

    def _read_buckets(self) -> Iterator[Piece]:
        """Every version of every object of the account: states, saved plans, what is in the vault bucket."""
        s3 = self.account.client("s3")
        for bucket in (self.account.state_bucket, self.account.vault_bucket):
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                for row in page.get("Versions", ()):
                    which = {"Bucket": bucket, "Key": row["Key"], "VersionId": row["VersionId"]}
                    place = "saved plans" if row["Key"].startswith("plans/") else "state and vault buckets"
                    yield from _unpack(place, f"{bucket}/{row['Key']}", s3.get_object(**which)["Body"].read())

    def _read_files(self) -> Iterator[Piece]:
        """Every file of the state folder, PostgreSQL's own and Vault's too, and of the folders that were named."""
        for folder in (self.stack.settings.state_dir, self.stack.record.database_dir, *self.folders):
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    with suppress(FileNotFoundError):  # a server removes its own meanwhile
                        yield from _unpack(_name_place(path), str(path), path.read_bytes())

    def _read_api(self) -> Iterator[Piece]:
        """Every GET address of the API, for each of the environments and every run of it."""
        headers = {"Authorization": f"Bearer {self.stack.token}"}
        with httpx.Client(base_url=self.stack.settings.api_url, headers=headers, trust_env=False, timeout=60) as api:
            paths = [path for path, of in api.get("/openapi.json").json()["paths"].items() if "get" in of]
            for path in paths:
                answers = {address: api.get(address) for address in self._fill(path, api)}
                # An environment that is gone has no file to be compared with: that address alone may answer 404.
                is_told = path in self.untold or any(answer.status_code == 200 for answer in answers.values())
                assert is_told, f"{path}: {list(answers)}"
                for address, answer in answers.items():
                    yield "API answers", address, answer.content

    def _fill(self, path: str, api: httpx.Client) -> list[str]:
        """The addresses that a path with `{name}`s stands for: of runs, of plans, else of the environments."""
        word = next((word for word in ("run_id", "plan_id") if f"{{{word}}}" in path), None)
        if word is None:
            shipped = {path.format(a="dev", b="staging")} if "{b}" in path else set()
            return sorted({path.format_map(_Always(name)) for name in self.environments} | shipped)
        answers = [api.get("/api/runs", params={"environment": name, "limit": 200}) for name in self.environments]
        found = [row[word] for answer in answers for row in answer.json()["runs"] if row[word]]
        return sorted({path.format_map({word: value}) for value in found})

    def _read_prefect(self) -> Iterator[Piece]:
        """Blocks as Prefect decrypts them; its other answers are its database's rows."""
        wanted = {"include_secrets": True, "limit": 200}
        url = f"{self.stack.settings.prefect_api_url}/block_documents/filter"
        yield "blocks", "block_documents", httpx.post(url, json=wanted, trust_env=False).raise_for_status().content

    def _read_processes(self) -> Iterator[Piece]:
        """Commands and environments, as every program of the same user can read them."""
        for process in find_processes(self.stack.record.stack_id):
            with suppress(psutil.Error):
                text = " ".join([*process.cmdline(), *process.environ().values()])
                yield "processes", process.name(), text.encode()


def _list_tables(connection: "psycopg.Connection[Any]") -> list[str]:
    found = connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    return [row[0] for row in found]


class _Always(dict[str, str]):
    """One value for every key."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self._value = value

    def __missing__(self, _key: str) -> str:
        return self._value


def _name_place(path: Path) -> str:
    if path.suffix == ".log" or path.name == "log" or "logs" in path.parts:
        return "log files"
    return "results" if "storage" in path.parts and "prefect" in path.parts else "files"


def _unpack(place: str, where: str, content: bytes) -> Iterator[Piece]:
    """The content as it is, and what is packed in it."""
    yield place, where, content
    if content[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError, zlib.error):
            yield place, f"{where} (unpacked)", gzip.decompress(content)
    if content[:4] == b"PK\x03\x04":
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield place, f"{where}#{name}", archive.read(name)


def _write_variants(value: bytes) -> Iterator[bytes]:
    """As it is, in hexadecimal, and in base64 behind zero, one and two other bytes."""
    yield value
    yield value.hex().encode()
    for before in range(3):
        # What a neighbour shares bits with differs, so it is left out: three bytes are four signs.
        written = base64.b64encode(b"\0" * before + value)
        yield written[(0, 2, 3)[before] : len(written) - 4]
