"""A real Kubernetes API server for proofs: etcd from Debian, kube-apiserver and kubectl built once from Go modules.

It has no node: objects are checked and kept, nothing runs. Everything is on loopback.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blocks.settings import CHECKOUT
from blocks.terraform_binary import user_cache_dir
from tests.polling import wait_for
from tests.stack import find_free_ports

MODULE = CHECKOUT / "tests" / "kubernetes"
PROGRAMS = ("kube-apiserver", "kubectl")
BUILD_SECONDS = 1800
START_SECONDS = 60


@dataclass(frozen=True)
class KubernetesServer:
    """An API server with one administrator."""

    programs: Path
    folder: Path
    port: int

    def kubectl(self, *arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run kubectl as the administrator, with `text` on its standard input."""
        command = [self.programs / "kubectl", "--kubeconfig", self.folder / "kubeconfig", *arguments]
        return subprocess.run(command, input=text, text=True, capture_output=True, cwd=CHECKOUT, timeout=120)

    def is_ready(self) -> bool:
        """The API server says so."""
        return self.kubectl("get", "--raw", "/readyz").returncode == 0

    def write_kubeconfig(self, path: Path, token: str) -> None:
        """How a client with that token finds the server."""
        cluster = {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proof",
            "clusters": [{"name": "proof", "cluster": cluster}],
            "users": [{"name": "proof", "user": {"token": token}}],
            "contexts": [{"name": "proof", "context": {"cluster": "proof", "user": "proof", "namespace": "terrarium"}}],
        }
        path.write_text(json.dumps(config))


def build_programs() -> Path:
    """The folder with the programs, built where the user's cache does not have them (3 minutes the first time)."""
    version = read_version()
    folder = user_cache_dir() / f"kubernetes-{version}"
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={version}"
    for name in PROGRAMS:
        if not (folder / name).exists():
            folder.mkdir(parents=True, exist_ok=True)
            command = ["go", "build", "-trimpath", "-ldflags", flags, "-o", folder / f"{name}.new"]
            done = subprocess.run(
                [*command, f"k8s.io/kubernetes/cmd/{name}"],
                cwd=MODULE,
                env=os.environ | {"CGO_ENABLED": "0"},
                text=True,
                capture_output=True,
                timeout=BUILD_SECONDS,
            )
            assert done.returncode == 0, done.stderr
            (folder / f"{name}.new").rename(folder / name)
    return folder


def read_version() -> str:
    """The version of Kubernetes that go.mod names."""
    found = re.search(r"^\s*k8s\.io/kubernetes (\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert found
    return found[1]


@contextmanager
def start_kubernetes(programs: Path, folder: Path) -> Iterator[KubernetesServer]:
    """etcd and the API server, ready, with the controls of every cluster (RBAC, Pod Security)."""
    folder.mkdir()
    token = secrets.token_hex(16)
    (folder / "tokens").write_text(f"{token},administrator,1,system:masters\n")
    client, peer, port = find_free_ports(3)
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    server = KubernetesServer(programs, folder, port)
    server.write_kubeconfig(folder / "kubeconfig", token)
    etcd = [
        *(shutil.which("etcd") or "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync"),
        *(
            "--listen-client-urls",
            f"http://127.0.0.1:{client}",
            "--advertise-client-urls",
            f"http://127.0.0.1:{client}",
        ),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
    ]
    issuer = "https://kubernetes.default.svc"
    api = [
        *(programs / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--cert-dir={folder / 'certs'}"),
        *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={port}"),
        *(f"--token-auth-file={folder / 'tokens'}", "--authorization-mode=RBAC", "--endpoint-reconciler-type=none"),
        *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
        *(f"--service-account-issuer={issuer}", "--service-cluster-ip-range=10.96.0.0/16"),
    ]
    with _running(etcd, folder / "etcd.log"), _running(api, folder / "api.log") as process:
        wait_for("the API server answers", lambda: process.poll() is not None or server.is_ready(), START_SECONDS)
        assert process.poll() is None, (folder / "api.log").read_text()[-2000:]
        yield server


@contextmanager
def _running(command: list[str | Path], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:  # the API server waits for clients that watch
            process.kill()
            process.wait(30)
