"""Patroni beside us: two nodes on one etcd, at the lowest settings that it accepts, measured by the same observer."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from blocks.postgres.account import Account, bring_programs, can_reach, choose_account, make_folder
from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import CHECKOUT
from tests.drill_world import Observer
from tests.polling import wait_for
from tests.stack import find_free_ports

PASSWORD = "peer"
PACKAGES = ("patroni[etcd3]>=4.1,<4.2", "psycopg[binary]>=3.2")
#: `loop_wait` and `retry_timeout` as low as Patroni takes them; `ttl` too, which a lost host is waited for.
LOWEST = {"ttl": 20, "loop_wait": 1, "retry_timeout": 3, "maximum_lag_on_failover": 1 << 20}
READY_SECONDS = 120.0


@dataclass(frozen=True)
class Programs:
    """Where etcd is, and a Python that PostgreSQL's account can reach."""

    etcd: str
    python: str


def find_patroni() -> Programs | None:
    """What the peer needs; None where something is not installed. Patroni itself comes from PyPI."""
    etcd, account = shutil.which("etcd"), choose_account()
    pythons = [one for one in (sys.executable, "/usr/bin/python3") if account is None or can_reach(Path(one), account)]
    return Programs(etcd, pythons[0]) if etcd and pythons else None


def run_patroni_drills(programs: Programs, folder: Path, drills: int) -> list[float]:
    """Seconds of outage at the client for each lost host: Patroni and its PostgreSQL killed at once."""
    cluster = Cluster(programs, Path(f"/var/tmp/patroni-{os.getpid()}"))  # its account reaches no folder of pytest's
    try:
        cluster.start()
        return [_lose_host(cluster, folder / f"peer-{number}") for number in range(drills)]
    finally:
        cluster.remove()


def _lose_host(cluster: "Cluster", log: Path) -> float:
    """The client's outage; the lost node is back afterwards."""
    observer = Observer(cluster.variables, log)
    try:
        observer.wait()
        lost = cluster.lose_leader()
        count = len(observer.read())
        wait_for("the client writes again", lambda: len(observer.read()) > count + 50, READY_SECONDS)
        outage = float(observer.stop()["gap_seconds"])
    finally:
        observer.kill()
    cluster.start_node(lost)
    cluster.wait_until_whole()
    return outage


@dataclass
class Cluster:
    """Two nodes and one etcd, below a folder of their own."""

    programs: Programs
    folder: Path
    account: Account | None = field(default_factory=choose_account)
    _processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self) -> None:
        """Install, start everything, and wait until the standby streams."""
        self.folder.mkdir(mode=0o755)
        virtual = self.folder / "venv"
        (uv,) = sorted((CHECKOUT / ".tools").glob("uv-*/bin/uv"))[-1:]
        subprocess.run([uv, "venv", "--quiet", "--python", self.programs.python, virtual], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", virtual, *PACKAGES], check=True)
        self._ports = dict(zip(("etcd", "peer", "n1", "n2", "api-n1", "api-n2"), find_free_ports(6), strict=True))
        binaries = bring_programs(find_postgres_binaries(), self.folder, self.account)
        for name in ("etcd", "n1", "n2"):
            make_folder(self.folder / name, self.account)
        urls = (f"http://127.0.0.1:{self._ports['etcd']}", f"http://127.0.0.1:{self._ports['peer']}")
        self._start(
            "etcd",
            [self.programs.etcd, "--data-dir", str(self.folder / "etcd" / "data"),
             "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
             "--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1],
             "--initial-cluster", f"default={urls[1]}"],
        )  # fmt: skip
        wait_for("etcd answers", lambda: _ask(f"{urls[0]}/health"), 30)
        for name in ("n1", "n2"):
            (self.folder / f"{name}.json").write_text(json.dumps(self._describe(name, binaries)))
            self.start_node(name)
        self.wait_until_whole()

    def start_node(self, name: str) -> None:
        """Patroni, which starts its PostgreSQL. Its file is JSON, which YAML is too."""
        self._start(name, [str(self.folder / "venv" / "bin" / "patroni"), str(self.folder / f"{name}.json")])

    def wait_until_whole(self) -> None:
        """One leader, and a replica that streams."""
        wait_for("the cluster is whole", self._is_whole, READY_SECONDS)

    def lose_leader(self) -> str:
        """SIGKILL to the leader's Patroni and all that it started, as when its host is lost; its name."""
        leader = next(one["name"] for one in self._read_members() if one["role"] == "leader")
        patroni = psutil.Process(self._processes[leader].pid)
        patroni.suspend()
        data = str(self.folder / leader / "data")
        postgres = [one for one in psutil.process_iter(["cmdline"]) if data in " ".join(one.info["cmdline"] or ())]
        family = {one.pid for top in (patroni, *postgres) for one in (top, *top.children(recursive=True))}
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._processes[leader].wait()
        return str(leader)

    @property
    def variables(self) -> Mapping[str, str]:
        """A client that finds the primary by itself."""
        return {
            "PGHOST": "127.0.0.1,127.0.0.1",
            "PGPORT": f"{self._ports['n1']},{self._ports['n2']}",
            "PGTARGETSESSIONATTRS": "read-write",
            "PGUSER": "postgres",
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": "postgres",
        }

    def remove(self) -> None:
        """End every process and delete the folder."""
        for process in reversed(self._processes.values()):
            with suppress(psutil.NoSuchProcess):
                for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
            process.wait()
        for one in psutil.process_iter(["cmdline"]):
            if str(self.folder) in " ".join(one.info["cmdline"] or ()):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            options: dict[str, Any] = self.account.subprocess_options() if self.account else {}
            self._processes[name] = subprocess.Popen(
                command, cwd=self.folder / name, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, stdout=log,
                stderr=log, **options,
            )  # fmt: skip

    def _describe(self, name: str, binaries: Path) -> dict[str, Any]:
        address = f"127.0.0.1:{self._ports[name]}"
        people = {who: {"username": who, "password": PASSWORD} for who in ("postgres", "replicator", "rewinder")}
        return {
            "scope": "peer",
            "name": name,
            "restapi": {"listen": (api := f"127.0.0.1:{self._ports[f'api-{name}']}"), "connect_address": api},
            "etcd3": {"host": f"127.0.0.1:{self._ports['etcd']}"},
            "bootstrap": {
                "dcs": {**LOWEST, "postgresql": {"use_pg_rewind": True}},
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": address,
                "connect_address": address,
                "data_dir": str(self.folder / name / "data"),
                "bin_dir": str(binaries),
                "pgpass": str(self.folder / name / "pgpass"),
                "authentication": {
                    "superuser": people["postgres"],
                    "replication": people["replicator"],
                    "rewind": people["rewinder"],
                },
                "parameters": {"unix_socket_directories": "", "wal_log_hints": "on"},
                "pg_hba": [
                    "host replication replicator 127.0.0.1/32 scram-sha-256",
                    "host all all 127.0.0.1/32 scram-sha-256",
                ],
            },
        }

    def _read_members(self) -> list[dict[str, Any]]:
        for name in ("n1", "n2"):
            if answer := _ask(f"http://127.0.0.1:{self._ports[f'api-{name}']}/cluster"):
                return list(answer["members"])
        return []

    def _is_whole(self) -> bool:
        found = {(one["role"], one["state"]) for one in self._read_members()}
        return found == {("leader", "running"), ("replica", "streaming")}


def _ask(url: str) -> Any:
    with suppress(httpx.HTTPError, ValueError):
        return httpx.get(url, timeout=2, trust_env=False).json()
    return None
