"""What the proof of the image stands on: the image, a network of its own, PostgreSQL, and the services that run."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import CHECKOUT
from tests.compose import Service, read_services
from tests.integration.conftest import report_missing
from tests.kubernetes_server import build_programs
from tests.postgres_server import PostgresServer, _user
from tests.proofs.containers import Containers, own_network
from tests.proofs.image_build import BASE, IMAGE, Buildah
from tests.proofs.page import Page
from tests.proofs.two_lives import RUN_SECONDS, TERRARIUM

PROGRAMS = ("buildah", "debootstrap", "runc", "etcd", "go", "ip", "openssl")
ABOUT = (
    "`docker/Dockerfile` built without a Docker engine (buildah, in a chroot), on a base of Debian's packages that "
    "brings this machine's Terraform and provider mirror: neither HashiCorp's releases nor a registry of images can be "
    "reached from here, so that the image fetches both itself is not shown. The services of `docker/compose.yaml` run "
    "in runc as the file says, all on one loopback, beside this machine's PostgreSQL. The API server has no node."
)
#: What the emulator needs is in the same image here; `docker/compose.yaml` builds one of its own for it.
GROUPS = "kubernetes local"
SANDBOX = """\
name: {name}
class: sandbox
cloud: {cloud}
owner: platform@travelblog.example
cost_centre: TB-100
data:
  queue: {{}}
"""


@dataclass(frozen=True)
class World:
    """The running stack, and how a person reaches it: as docs/deploy.md says."""

    containers: Containers
    services: Mapping[str, Service]
    variables: Mapping[str, str]
    folder: Path

    def terrarium(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The command line outside of the containers, with the token that was drawn."""
        environment = os.environ | {"TERRARIUM_STATE_DIR": str(self.folder / "secrets")}
        command = [TERRARIUM, *arguments, "--json"]
        return subprocess.run(
            command, env=environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=RUN_SECONDS
        )

    def write(self, name: str, cloud: str) -> str:
        """A specification's file."""
        path = self.folder / f"{name}.yaml"
        path.write_text(SANDBOX.format(name=name, cloud=cloud))
        return str(path)


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """The proof's page, written when every claim of this file held."""
    page, failed_before = Page("image", ABOUT), request.session.testsfailed
    yield page
    if request.session.testsfailed == failed_before:
        page.write()


@pytest.fixture(scope="module")
def folder(page: Page) -> Iterator[Path]:
    """A folder of gigabytes, which another user can look into."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        report_missing(f"The proof runs as root and needs {', '.join(missing) or 'root'}; docs/deploy.md says of what.")
    folder = Path(tempfile.mkdtemp(prefix="terrarium-image-", dir="/var/tmp"))  # /tmp may be memory
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(folder: Path, page: Page) -> Iterator[Buildah]:
    """The image, built."""
    buildah = Buildah(folder / "images")
    try:
        began = time.monotonic()
        buildah.build_base()
        page.add("a base image of Debian's packages", f"in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        buildah.build(GROUPS)
        page.add(f"`docker/Dockerfile` with `BASE_IMAGE={BASE}`", f"built in {time.monotonic() - began:.0f} s")
        yield buildah
    finally:
        buildah.remove()


@pytest.fixture(scope="module")
def kubernetes_programs(page: Page) -> Path:
    """Built before the network is left."""
    return build_programs()


@pytest.fixture(scope="module")
def network(image: Buildah, kubernetes_programs: Path) -> Iterator[None]:
    """From here on there is no network but loopback, with every port free."""
    with own_network():
        yield


@pytest.fixture(scope="module")
def variables(folder: Path) -> dict[str, str]:
    """What docker/create_secrets.sh draws."""
    script = folder / "create_secrets.sh"
    shutil.copy(CHECKOUT / "docker" / "create_secrets.sh", script)
    subprocess.run(["sh", script], check=True)
    drawn = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())
    return drawn | {"TERRARIUM_IMAGE": IMAGE, "TERRARIUM_EMULATOR_IMAGE": IMAGE}


@pytest.fixture(scope="module")
def database(network: None, folder: Path, variables: dict[str, str]) -> Iterator[PostgresServer]:
    """This machine's PostgreSQL where the compose file has its own, prepared by the same script."""
    place = folder / "postgres"
    place.mkdir()
    server = PostgresServer(find_postgres_binaries(), place, 5432, variables["POSTGRES_PASSWORD"])
    shutil.chown(place, *_user())
    server.create()
    server.start()
    try:
        environment = os.environ | variables | {"PGHOST": "127.0.0.1", "PGPASSWORD": server.password}
        script = CHECKOUT / "docker" / "postgres" / "create_databases.sh"
        subprocess.run(["sh", script], env=environment | {"POSTGRES_USER": "owner"}, check=True, timeout=60)
        yield server
    finally:
        server.stop("immediate")


@pytest.fixture(scope="module")
def shipped(
    image: Buildah, database: PostgresServer, variables: dict[str, str], folder: Path, page: Page
) -> Iterator[World]:
    """Every service but PostgreSQL, started in the order of the file, each when those before it are what it needs."""
    services = {name: it for name, it in read_services(variables).items() if name != "postgres"}
    place = folder / "containers"
    place.mkdir()
    containers = Containers(image.mount(), place, image.read_config(), ("postgres", *services))
    waits = {other: condition for it in services.values() for other, condition in it.needs.items()}
    try:
        for name, service in services.items():
            containers.start(service, {"token": folder / "secrets" / "token"})
            seconds = containers.wait(service, waits.get(name, "service_healthy"))
            word = "ended with 0" if service.test == () else "healthy"
            page.add(f"service {name} of `docker/compose.yaml`", f"{word} after {seconds:.0f} s")
        yield World(containers, services, variables, folder)
    finally:
        containers.stop_all()
