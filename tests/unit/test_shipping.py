"""What ships Terrarium says what its pages and policies say: the Dockerfile, the compose file, the manifests."""

import json
import re
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from blocks.settings import CHECKOUT, Settings
from tests.compose import list_variables, read_compose, read_services

DOCKER = CHECKOUT / "docker"
KUBERNETES = CHECKOUT / "deployments" / "kubernetes"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
OWN = ("prefect", "migrate", "register", "worker", "console", "emulator")
#: Variables that look like ours or Prefect's.
NAMED = re.compile(r"\b(TERRARIUM_[A-Z_]+)\b")
SHIPPED = sorted(path for folder in (DOCKER, KUBERNETES) for path in folder.rglob("*") if path.is_file())


def read_manifests() -> list[dict[str, Any]]:
    """Every object of the manifests."""
    names = YAML(typ="safe").load(KUBERNETES / "kustomization.yaml")["resources"]
    return [it for name in names for it in YAML(typ="safe").load_all(KUBERNETES / name)]


def read_pods() -> dict[str, dict[str, Any]]:
    """The pod of every deployment, and of a run's job, by name."""
    template = YAML(typ="safe").load(KUBERNETES / "job-template.yaml")
    job = template["job_configuration"]["job_manifest"]["spec"]["template"]
    made = {it["metadata"]["name"]: it["spec"]["template"] for it in read_manifests() if it["kind"] == "Deployment"}
    return made | {"run": job}


PODS = read_pods()
CONTAINERS = {
    f"{pod}/{it['name']}": it
    for pod, template in PODS.items()
    for it in [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
}
pods = pytest.mark.parametrize("pod", PODS)
containers = pytest.mark.parametrize("container", CONTAINERS)


def test_every_stage_is_made_from_the_named_base() -> None:
    """Who needs another base, or has no registry, names it: ARG BASE_IMAGE comes before the first stage."""
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE_IMAGE}", "${BASE_IMAGE}"]
    assert DOCKERFILE.index("ARG BASE_IMAGE=") < DOCKERFILE.index("FROM ")


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    """Kubernetes can only check a number (`runAsNonRoot`)."""
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert all(PODS[pod]["spec"]["securityContext"]["runAsUser"] == 10001 for pod in PODS)


def test_versions_are_the_projects() -> None:
    """The image's label, its tag in both files, and uv are of one version each."""
    version = PROJECT["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in DOCKERFILE
    assert list_variables()["TERRARIUM_IMAGE"] == f"terrarium:{version}"
    assert YAML(typ="safe").load(KUBERNETES / "kustomization.yaml")["images"][0]["newTag"] == version
    (makes,) = re.findall(r"^UV_VERSION := (.+)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert f"ARG UV_VERSION={makes}\n" in DOCKERFILE


def test_the_image_has_every_package() -> None:
    """A new folder of code has its line in the Dockerfile and in .dockerignore."""
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package} {package}\n" in DOCKERFILE
        assert f"!{package}" in ignored


def test_the_build_sees_nothing_else() -> None:
    """.dockerignore begins by leaving everything out; what the Dockerfile copies is let in again."""
    lines = [it for it in (CHECKOUT / ".dockerignore").read_text().splitlines() if not it.startswith("#")]
    assert lines[0] == "*"
    copied = {
        word for words in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for word in words.split()
    }
    assert {it[1:] for it in lines if it.startswith("!")} == copied


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_only_settings_that_exist_are_named(path: Path) -> None:
    """A setting that is misspelt would be ignored in silence."""
    known = {f"TERRARIUM_{name.upper()}" for name in Settings.model_fields}
    known |= {"TERRARIUM_IMAGE", "TERRARIUM_EMULATOR_IMAGE"}  # Compose's own
    assert set(NAMED.findall(path.read_text())) - known == set()


def test_no_value_of_a_secret_is_shipped() -> None:
    """Passwords, keys and tokens have no default, and no manifest contains a Secret."""
    variables = list_variables()
    secret = {name for name in variables if re.search("PASSWORD|KEY|TOKEN", name)}
    assert len(secret) == 6
    assert {variables[name] for name in secret} == {None}
    assert [it["kind"] for it in read_manifests() if it["kind"] == "Secret"] == []


def test_compose_starts_the_whole_stack() -> None:
    """Each part of the local stack is a service, the emulator only where it is asked for."""
    services = read_services(dict.fromkeys(list_variables(), "x"))
    assert set(services) == {"postgres", *OWN}
    assert [name for name, service in services.items() if "profiles" in service.body] == ["emulator"]
    assert list(services).index("register") < list(services).index("worker")


@pytest.mark.parametrize("name", OWN)
def test_a_service_can_write_nowhere_but_its_own_folders(name: str) -> None:
    """Read-only root, no capability, no way to get one."""
    body = read_compose()["services"][name]
    assert (body["read_only"], body["cap_drop"], body["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])


def test_compose_publishes_on_loopback_only() -> None:
    """Prefect's API knows no roles, and the console speaks plain HTTP."""
    published = [port for body in read_compose()["services"].values() for port in body.get("ports", [])]
    assert published == ["127.0.0.1:4200:4200", "127.0.0.1:8700:8700"]


def test_secrets_are_drawn_once(tmp_path: Path) -> None:
    """docker/create_secrets.sh gives each variable a value of its own, for its user alone, and keeps what is there."""
    script = tmp_path / "create_secrets.sh"
    script.write_text((DOCKER / "create_secrets.sh").read_text())
    subprocess.run(["sh", script], check=True)
    first = (tmp_path / ".env").read_text()
    values = dict(line.split("=", 1) for line in first.splitlines())
    assert set(values) == {name for name, default in list_variables().items() if default is None}
    assert len(set(values.values())) == len(values)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert len((tmp_path / "secrets" / "token").read_text()) >= 32
    subprocess.run(["sh", script], check=True)
    assert (tmp_path / ".env").read_text() == first


@pods
def test_a_pod_is_restricted(pod: str) -> None:
    """Not root, the runtime's seccomp profile, no variables of services, a token only where the API is asked."""
    spec = PODS[pod]["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is (pod == "worker")


@containers
def test_a_container_is_restricted(container: str) -> None:
    """Read-only root, no capabilities, and a request and a limit of memory."""
    body = CONTAINERS[container]
    context = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert body["securityContext"] == context
    assert body["resources"]["requests"].keys() == {"cpu", "memory"}
    assert body["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("pod", [pod for pod in PODS if pod != "run"])
def test_a_server_is_probed(pod: str) -> None:
    """Its start, its readiness and its life."""
    (container,) = PODS[pod]["spec"]["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_prefect_is_reached_by_our_parts_only() -> None:
    """Everything is closed, and what opens Prefect opens it to pods of this stack in this namespace."""
    policies = {it["metadata"]["name"]: it["spec"] for it in read_manifests() if it["kind"] == "NetworkPolicy"}
    assert policies["nothing-is-reached"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    (rule,) = policies["prefect"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "terrarium"}}}]
    services = {it["metadata"]["name"]: it["spec"] for it in read_manifests() if it["kind"] == "Service"}
    assert {it.get("type", "ClusterIP") for it in services.values()} == {"ClusterIP"}


def test_only_the_migration_has_the_owners_password() -> None:
    """Flows and the console may read and insert; who migrates may do more, and ends."""
    having = [name for name, body in CONTAINERS.items() if "terrarium-migration" in json.dumps(body)]
    assert having == ["worker/migrate"]


def test_the_worker_may_work_in_its_namespace_only() -> None:
    """A Role, no ClusterRole; no secrets among what it may read."""
    kinds = [it["kind"] for it in read_manifests()]
    assert not {"ClusterRole", "ClusterRoleBinding"} & set(kinds)
    (role,) = (it for it in read_manifests() if it["kind"] == "Role")
    assert not {"secrets", "*"} & {name for rule in role["rules"] for name in rule["resources"] + rule["verbs"]}


def test_the_pool_gets_image_and_namespace() -> None:
    """What the template does not know is put in at registration, and nothing else is changed."""
    from deployments.registration import describe_jobs

    pool = describe_jobs("registry.example/terrarium:1", "ours")
    assert pool.type == "kubernetes"
    properties = pool.base_job_template["variables"]["properties"]
    assert (properties["image"]["default"], properties["namespace"]["default"]) == (
        "registry.example/terrarium:1",
        "ours",
    )
