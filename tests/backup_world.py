"""An environment whose base backups are taken and verified by the real flows, and what has to be so after each run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from blocks.backup_vault import delete_backup
from blocks.ledger import RunRow
from blocks.ledger.backups import BackupRow
from blocks.postgres.pair_files import Pair
from blocks.postgres.replication import read_primary, read_state
from blocks.postgres.session import connect
from blocks.wal_archive import segment_key
from blocks.wal_copy import delete_wal, list_archived
from domain.backup import Manifest
from domain.backup_wal import list_needed, read_number
from domain.pair import other
from tests.flow_world import World
from tests.flows.test_pair import PLACE, find_pair
from tests.polling import wait_for

ROWS = 2000
#: One a day: each backup lets the one before it go, unless that one is the newest proved.
BACKUPS: dict[str, Any] = {
    "kind": "physical",
    "keep_days": 1,
    "keep_weeks": 0,
    "keep_months": 0,
    "expectations": {
        "bookings": ({"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},),
    },
    "invariants": {"an author is of ours": "SELECT id FROM authors WHERE email NOT LIKE '%@example.com'"},
}
DATABASE = {"version": "16", "provider": "postgres", "example_rows": ROWS, "backups": BACKUPS}
#: The steps of both flows, with something to let go.
STEPS = {
    "backup": ("take_base_backup", "expire_backups", "expire_wal", "publish_backup"),
    "verify": ("restore_and_ask", "publish_verdict"),
}


@dataclass(frozen=True)
class BackedUp:
    """An environment with a pair, of which every test leaves something that can be verified."""

    world: World
    name: str

    @property
    def pair(self) -> Pair:
        """Its pair."""
        return find_pair(self.world, self.name)

    def list_kept(self) -> list[BackupRow]:
        """The backups that are there, the newest first."""
        return [row for row in self.world.ledger.list_backups(self.name) if row.lost_at is None]

    def list_objects(self) -> set[str]:
        """The ids of everything that the vault has of backups, current objects alone."""
        prefix = f"backups/{self.name}/"
        pages = self.world.account.client("s3").get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=self.world.account.vault_bucket, Prefix=prefix)
        return {
            row["Key"].removeprefix(prefix).partition("/")[0] for page in listed for row in page.get("Contents", ())
        }

    def list_wal(self) -> list[str]:
        """What the pair's archive has."""
        return list_archived(self.world.account, self.pair.record.archive_prefix)

    def run(self, word: str, **parameters: Any) -> RunRow:
        """A run of a flow, to its end."""
        answer = self.world.process.ask("run", word, {"environment": self.name, **parameters}, None)
        run = self.world.ledger.read_run(answer["run_id"])
        assert run is not None
        return run

    def kill_at(self, word: str, step: str, moment: str) -> RunRow:
        """A run that is killed with SIGKILL before a step's effect or after it, and swept."""
        with self.world.faults.order(self.name, step, moment, "hang"):
            known = self._kill(word, self.world.faults.is_hanging)
        return self._sweep(known)

    def kill_amid_upload(self) -> RunRow:
        """A run that is killed while barman uploads, and swept."""
        before = self.list_objects()
        return self._sweep(self._kill("backup", lambda: self.list_objects() - before))

    def damage_amid_take(self) -> RunRow:
        """A run of whose first try every new segment is damaged in the archive, before it is read back."""
        known, prefix = set(self.list_wal()), self.pair.record.archive_prefix

        def damage_until_read() -> bool:
            for name in set(self.list_wal()) - known:
                key = segment_key(prefix, name)
                self.world.account.client("s3").put_object(Bucket=self.world.account.vault_bucket, Key=key, Body=b"no")
            return any(self._find_fetched("*"))

        return self._meddle(damage_until_read, lambda: None)

    def lose_amid_take(self) -> RunRow:
        """A run of which a segment goes from the archive after it was read back, and before it is on record."""

        def lose() -> None:
            names = [path.name for path in self._find_fetched("*/?*")]
            delete_wal(self.world.account, self.pair.record.archive_prefix, names)

        return self._meddle(lambda: any(path.stat().st_size for path in self._find_fetched("*/?*")), lose)

    def _find_fetched(self, pattern: str) -> list[Path]:
        """What of WAL is read back now, by all runs of the environment."""
        work = self.world.stack.settings.state_dir / "work" / self.name
        return [path for path in work.glob(f"*/fetched/{pattern}") if "wal" in (path.name, path.parent.name)]

    def _meddle(self, is_there: Callable[[], Any], act: Callable[[], None]) -> RunRow:
        """A run that stands still while something is done, at a moment of its own."""
        known = {run.run_id for run in self.world.ledger.list_runs(self.name)}
        self.world.process.tell("run", "backup", {"environment": self.name}, None)
        wait_for("the moment is there", is_there, 180, 0.001)
        with self.world.process.stopped():
            act()
        self.world.process.read_answer()
        (run,) = [run for run in self.world.ledger.list_runs(self.name) if run.run_id not in known]
        return run

    def _kill(self, word: str, is_there: Callable[[], Any]) -> set[str]:
        """Start a run and kill it at the moment; the runs that were there before."""
        known = {run.run_id for run in self.world.ledger.list_runs(self.name)}
        self.world.process.tell("run", word, {"environment": self.name}, None)
        wait_for("the moment is there", is_there, 180, 0.005)
        self.world.process.kill()
        return known

    def _sweep(self, known: set[str]) -> RunRow:
        live = self.world.ledger.list_live
        wait_for("it is gone", lambda: all(row.is_proved_dead for row in live(self.name)), 60)
        self.world.sweep()
        (run,) = [run for run in self.world.ledger.list_runs(self.name) if run.run_id not in known]
        return run

    def check(self, run: RunRow) -> None:
        """Whatever became of a run: nothing of it is left, and every backup on record has all that it needs."""
        world = self.world
        assert world.is_clean(run.run_id)
        assert world.status(self.name) == "ready"
        wait_for("no process of the run is left", lambda: not find_processes(run.run_id), 30)
        assert [step.name for step in world.steps(run.run_id) if step.outcome == "begun"] == []
        kept = self.list_kept()
        assert self.list_objects() == {row.id for row in kept}
        archived = set(self.list_wal())
        for manifest in (Manifest.model_validate(row.manifest) for row in kept):
            assert manifest.wal_from
            assert manifest.wal_to
            assert set(list_needed(manifest.wal_from, manifest.wal_to)) <= archived
        assert read_state(self.pair).is_whole
        with connect(self.pair, at=other(read_primary(self.pair)), database="postgres") as session:
            assert session.execute("SELECT pg_is_wal_replay_paused()").fetchone() == (False,)

    def let_go(self, backup_id: str) -> None:
        """As the retention does, whatever that says."""
        delete_backup(self.world.account, f"backups/{self.name}/{backup_id}")
        self.world.ledger.mark_backup_lost(backup_id, self.name, "a test", "tests", "tests")

    def find_oldest_number(self) -> int:
        """The number of the oldest segment that the archive has."""
        return min(number for name in self.list_wal() if (number := read_number(name)) is not None)


def find_processes(run_id: str) -> list[int]:
    """The processes that work for a run or in its folder, but for this one's own."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = [process.info["cwd"] or "", *(process.info["cmdline"] or [])]
        if any(run_id in word for word in words):
            found.append(process.pid)
    return found


@contextmanager
def make_backed_up(world: World, name: str) -> Iterator[BackedUp]:
    """An environment with a pair, whose file asks for base backups; it is removed in the end."""
    world.make(name, **PLACE, data={"database": DATABASE})
    try:
        yield BackedUp(world, name)
    finally:
        assert world.run("teardown", name).status == "succeeded"
