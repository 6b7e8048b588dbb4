"""The image, built from docker/Dockerfile without a Docker engine: buildah in a chroot, on a base of Debian's packages.

The base brings what only this machine can give: its CA certificates, its Terraform and its provider mirror.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks.settings import CHECKOUT, read_settings
from blocks.terraform_binary import PROVIDER, find_provider_mirror, find_terraform

BASE = "localhost/terrarium-base:bookworm"
IMAGE = "localhost/terrarium:0.1.0"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
BUILD_SECONDS = 1800


@dataclass(frozen=True)
class Buildah:
    """buildah with a storage of its own in `folder`."""

    folder: Path

    def run(self, *arguments: str | Path) -> str:
        """What a command answers."""
        place = ("--root", self.folder / "root", "--runroot", self.folder / "run", "--storage-driver", "vfs")
        done = subprocess.run(
            ["buildah", *place, *arguments], cwd=CHECKOUT, text=True, capture_output=True, timeout=BUILD_SECONDS
        )
        assert done.returncode == 0, f"buildah {' '.join(map(str, arguments))}:\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def build_base(self) -> None:
        """Debian's smallest system with Python, and what this machine has of Terraform."""
        container = self.run("from", "scratch")
        root = Path(self.run("mount", container))
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", read_release(), str(root)]
        done = subprocess.run(command, text=True, capture_output=True, timeout=BUILD_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.copy(Path("/") / CERTIFICATES, root / CERTIFICATES)
        settings = read_settings()
        terraform = find_terraform(settings.terraform_path, settings.terraform_version)
        shutil.copy(terraform.resolve(), root / "usr/local/bin/terraform")
        if mirror := find_provider_mirror(settings.provider_mirror):
            plugins = root / "usr/local/share/terraform/plugins"
            shutil.copytree(mirror / PROVIDER, plugins / PROVIDER, dirs_exist_ok=True)
        self.run("commit", "--rm", container, BASE)

    def build(self, groups: str) -> str:
        """Build the Dockerfile on that base; what was told."""
        arguments = {"BASE_IMAGE": BASE, "DEPENDENCY_GROUPS": groups}
        options = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        how = ("--isolation", "chroot", "--format", "docker", "--pull-never", "--file", "docker/Dockerfile")
        return self.run("build", *how, *options, "--tag", IMAGE, CHECKOUT)

    def read_config(self) -> dict[str, Any]:
        """What the image says of itself: user, environment, command, labels, health check."""
        return dict(json.loads(self.run("inspect", "--type", "image", IMAGE))["Docker"]["config"])

    def mount(self) -> Path:
        """The image's files, as a root file system."""
        return Path(self.run("mount", self.run("from", "--pull-never", IMAGE)))

    def remove(self) -> None:
        """Remove containers, images and the storage."""
        self.run("umount", "--all")
        shutil.rmtree(self.folder, ignore_errors=True)


def read_release() -> str:
    """The code name of this machine's Debian, such as bookworm."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line.split("=")[1] for line in lines if line.startswith("VERSION_CODENAME="))
