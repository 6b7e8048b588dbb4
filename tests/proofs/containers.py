"""The services of docker/compose.yaml, each a container of runc, as the file says: command, environment, root, rights,
volumes, order and health. Docker's network is one network namespace: a name is an address on loopback.
"""

import ctypes
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.compose import Service
from tests.polling import wait_for

UID = 10001
CLONE_NEWNET = 0x40000000
HEALTHY_SECONDS = 240
NO_RIGHTS: dict[str, list[str]] = {kind: [] for kind in ("bounding", "effective", "permitted", "ambient")}


@contextmanager
def own_network() -> Iterator[None]:
    """This thread, and every process that it starts, in a network namespace with nothing but loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


@dataclass
class Containers:
    """What runs of the image, from one root file system that nobody can write to."""

    root: Path
    folder: Path
    config: Mapping[str, Any]
    hosts: tuple[str, ...]
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, service: Service, secrets: Mapping[str, Path], *more: Mapping[str, Any]) -> None:
        """Start a service, and wait until it is healthy, or has ended where others wait for that."""
        bundle = self.folder / service.name
        bundle.mkdir()
        (bundle / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *self.hosts)))
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        spec = describe(spec, self, service, [*self._list_mounts(service, bundle, secrets), *more])
        (bundle / "config.json").write_text(json.dumps(spec, indent=1))
        command = ["runc", "--root", self.folder / "runc", "run", "--bundle", bundle, self._name(service.name)]
        with (bundle / "log").open("wb") as log:
            self.running[service.name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def wait(self, service: Service, condition: str) -> float:
        """Seconds until the service is what others wait for."""
        began, process = time.monotonic(), self.running[service.name]
        if condition == "service_completed_successfully":
            assert process.wait(HEALTHY_SECONDS) == 0, self.read_log(service.name)
        else:
            wait_for(f"{service.name} is healthy", lambda: self._is_healthy(service), HEALTHY_SECONDS)
        return time.monotonic() - began

    def _is_healthy(self, service: Service) -> bool:
        assert self.running[service.name].poll() is None, self.read_log(service.name)
        return self.run(service.name, *service.test).returncode == 0

    def run(self, name: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """A command inside of a running service."""
        inside = ["runc", "--root", self.folder / "runc", "exec", self._name(name), *command]
        return subprocess.run(inside, text=True, capture_output=True, timeout=HEALTHY_SECONDS)

    def read_log(self, name: str) -> str:
        """What a service has told."""
        return (self.folder / name / "log").read_text(errors="replace")

    def read_process(self, name: str) -> dict[str, str]:
        """How the kernel sees the first process of a service: /proc/PID/status."""
        told = subprocess.run(
            ["runc", "--root", self.folder / "runc", "state", self._name(name)], text=True, capture_output=True
        )
        lines = Path(f"/proc/{json.loads(told.stdout)['pid']}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def stop(self, name: str, grace_seconds: float = 30) -> int:
        """SIGTERM, and its exit code; SIGKILL after the grace."""
        process, runc = self.running.pop(name), ["runc", "--root", self.folder / "runc"]
        if process.poll() is None:
            subprocess.run([*runc, "kill", self._name(name), "TERM"], check=True)
        try:
            return process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            subprocess.run([*runc, "kill", self._name(name), "KILL"], check=True)
            return process.wait(30)

    def stop_all(self) -> None:
        """In the reverse order of their start."""
        for name in [*self.running][::-1]:
            self.stop(name)

    def _name(self, service: str) -> str:
        return f"terrarium-{os.getpid()}-{service}"

    def _list_mounts(self, service: Service, bundle: Path, secrets: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
        yield bind(bundle / "hosts", "/etc/hosts")
        for line in service.body.get("tmpfs", []):
            target, _, options = line.partition(":")
            yield {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options.split(",")}
        for line in service.body.get("volumes", []):
            source, target, *_ = line.split(":")
            path = (Path("docker") / source).resolve() if source.startswith(".") else self._make_volume(source)
            yield bind(path, target, *(() if source.isalpha() else ("ro",)))
        for secret in service.body.get("secrets", []):
            yield bind(secrets[secret["source"]], secret["target"], "ro")

    def _make_volume(self, name: str) -> Path:
        """As Docker makes one: with the owner of the image's folder."""
        path = self.folder / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, UID, UID)
        return path


def bind(source: Path, target: str, *options: str) -> dict[str, Any]:
    """A file or folder of this machine in a container."""
    return {"destination": target, "type": "bind", "source": str(source), "options": ["bind", *options]}


def describe(
    spec: dict[str, Any], containers: Containers, service: Service, mounts: list[Mapping[str, Any]]
) -> dict[str, Any]:
    """A service's configuration for runc: the image's own, with what the compose file says over it."""
    user, config, body = service.body.get("user") or containers.config["User"], containers.config, service.body
    uid, _, gid = user.partition(":")
    environment = dict(line.split("=", 1) for line in config["Env"]) | service.environment
    spec["root"] = {"path": str(containers.root), "readonly": body["read_only"]}
    spec["mounts"] += mounts
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(uid), "gid": int(gid)},
        "args": list(service.command or config["Cmd"]),
        "env": [f"{key}={value}" for key, value in environment.items()],
        "cwd": config["WorkingDir"],
        "noNewPrivileges": "no-new-privileges:true" in body["security_opt"],
        "capabilities": NO_RIGHTS if body["cap_drop"] == ["ALL"] else spec["process"]["capabilities"],
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}],
    }
    # Without a network namespace of its own a container shares that of who starts it.
    spec["linux"]["namespaces"] = [it for it in spec["linux"]["namespaces"] if it["type"] != "network"]
    return spec
