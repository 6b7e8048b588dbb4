"""A backup restored into a scratch server and asked the five questions, each with its own evidence."""

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from blocks.dump_file import receive_dump
from blocks.expectations import load_expectations, validate_tables
from blocks.scratch.contents import (
    count_broken,
    find_sentinels,
    full_name,
    list_relations,
    measure_tables,
    read_schema_version,
    split_name,
)
from blocks.scratch.jail import Jail
from blocks.scratch.physical import NotRecoveredError, PhysicalBackup, open_recovered, receive_physical
from blocks.scratch.restore import check_pages, restore_dump
from blocks.scratch.server import ScratchServer, delete_scratch, open_scratch
from domain.backup import (
    Answer,
    BackupVerdict,
    Manifest,
    Question,
    TableContent,
    decide_verdict,
    judge_data,
    judge_file,
    judge_invariants,
    judge_sentinels,
    not_restored,
)
from domain.expectations import Checked, Expectation
from domain.restore import EngineWords, judge_engine


@dataclass(frozen=True)
class Wanted:
    """What a backup is held against; what is empty is not asked."""

    manifest: Manifest = field(default_factory=Manifest)
    suites: Mapping[str, Sequence[Expectation]] = field(default_factory=dict)
    invariants: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def owed(self) -> list[Question]:
        """The questions to what is restored that there is something to hold it against for."""
        manifest = self.manifest
        given = {
            Question.DATA: bool(manifest.tables or self.suites or manifest.undescribed),
            Question.INVARIANTS: bool(self.invariants),
            Question.SENTINELS: bool(manifest.sentinels),
        }
        return [question for question, is_given in given.items() if is_given]


def verify_dump(source: Path, wanted: Wanted, folder: Path, programs: Path) -> BackupVerdict:
    """The verdict over a dump. `folder` becomes the scratch server's and is removed in the end."""
    began = time.monotonic()
    _load_ahead(wanted)
    with open_scratch(folder, programs) as server:
        dump = receive_dump(source, server.jail.dump, server.jail.give)
        words = restore_dump(server, dump)
        seconds = time.monotonic() - began
        file = judge_file(wanted.manifest, dump.sha256, dump.size_bytes)
        return _ask(server, file, words, wanted, seconds)


def verify_physical(backup: PhysicalBackup, wanted: Wanted, folder: Path, programs: Path) -> BackupVerdict:
    """The verdict over a base backup with its WAL. Where the server does not recover, nothing else can be asked."""
    began = time.monotonic()
    _load_ahead(wanted)
    jail = Jail(folder, programs)
    try:
        jail.create()
        received = receive_physical(backup, jail)
        file = judge_file(wanted.manifest, received.sha256, received.size_bytes)
        try:
            with open_recovered(jail, backup, received.words) as (server, words):
                return _ask(server, file, words, wanted, time.monotonic() - began)
        except NotRecoveredError as error:
            faults = received.words.faults if received.words else ()
            words = EngineWords("postgres", 1, (*faults, str(error)))
            engine = judge_engine(words, 0, time.monotonic() - began)
            return decide_verdict({Question.FILE: file, Question.ENGINE: engine, **not_restored(wanted.owed)}, None)
    finally:
        delete_scratch(folder)


def _load_ahead(wanted: Wanted) -> None:
    """Great Expectations is imported while PostgreSQL restores: that takes one about as long as the other."""
    if wanted.suites:
        Thread(target=load_expectations, daemon=True).start()


def _ask(server: ScratchServer, file: Answer, words: EngineWords, wanted: Wanted, seconds: float) -> BackupVerdict:
    """All five, whatever the one before found: each fault is told."""
    with server.connect() as connection, ThreadPoolExecutor(2) as beside:
        relations = list_relations(connection)
        pages = beside.submit(check_pages, server)
        contents = beside.submit(_measure, server, relations, wanted.manifest)
        checked, faults = _check_suites(server, relations, wanted)
        invariants = judge_invariants(count_broken(server, wanted.invariants))
        found = find_sentinels(connection, wanted.manifest.sentinels)
        tables, schema_version = contents.result()
        sentinels, reached_at = judge_sentinels(wanted.manifest, found)
        answers = {
            Question.FILE: file,
            Question.ENGINE: judge_engine(words.and_then(pages.result()), sum(relations.values()), seconds),
            Question.DATA: judge_data(wanted.manifest, tables, checked, faults, schema_version),
            Question.INVARIANTS: invariants,
            Question.SENTINELS: sentinels,
        }
    return decide_verdict(answers, seconds, reached_at)


def _measure(
    server: ScratchServer, relations: Collection[str], manifest: Manifest
) -> tuple[dict[str, TableContent], str]:
    """Rows and hashes of what the manifest names, by the manifest's own names; and the schema's version."""
    here = {name: full_name(name) for name in manifest.tables if full_name(name) in relations}
    with server.connect() as connection:
        measured = measure_tables(connection, here.values())
        schema_version = read_schema_version(connection)
    return {name: measured[full] for name, full in here.items()}, schema_version


def _check_suites(server: ScratchServer, relations: Collection[str], wanted: Wanted) -> tuple[list[Checked], list[str]]:
    """What became of each expectation, and the tables that have some and are not there."""
    here = {name: (*split_name(name), suite) for name, suite in wanted.suites.items() if full_name(name) in relations}
    checked = validate_tables(server.url, here, wanted.parameters) if here else []
    return checked, [f"{name} is not there, and has expectations" for name in wanted.suites if name not in here]
