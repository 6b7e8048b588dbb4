"""The image is built from docker/Dockerfile and runs docker/compose.yaml's services; its worker runs flows.

Its manifests pass the API server of Kubernetes, and its other worker makes a job of a run there.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.settings import CHECKOUT
from tests.compose import Service
from tests.kubernetes_server import KubernetesServer, start_kubernetes
from tests.polling import wait_for
from tests.proofs.containers import UID, bind
from tests.proofs.image_build import IMAGE, Buildah
from tests.proofs.image_world import World
from tests.proofs.page import Page

pytest_plugins = ["tests.proofs.image_world"]
pytestmark = pytest.mark.timeout(5400)
MANIFESTS = CHECKOUT / "deployments" / "kubernetes"


def test_the_image_says_what_it_is(image: Buildah, page: Page) -> None:
    """User, labels, health check, and no secret in its environment."""
    config = image.read_config()
    assert config["User"] == f"{UID}:{UID}"
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert (labels["title"], labels["version"], labels["licenses"]) == ("terrarium", "0.1.0", "Apache-2.0")
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python"]
    names = [line.partition("=")[0] for line in config["Env"]]
    assert [name for name in names if any(word in name for word in ("PASSWORD", "TOKEN", "KEY", "SECRET"))] == []
    page.add("user, labels, health check", f"{config['User']}, version {labels['version']}, `{config['Cmd'][0]}`")


def test_the_image_carries_no_state_and_no_path_of_this_machine(image: Buildah, page: Page) -> None:
    """What git ignores is not in it, nor the checkout's history; no file of ours names the checkout."""
    code = image.mount() / "opt" / "terrarium"
    assert {it.name for it in code.iterdir()} <= {
        *(".venv", "README.md", "pyproject.toml", "uv.lock", "environments", "infra"),
        *("blocks", "console", "deployments", "domain", "flows", "tasks"),
    }
    assert [it.name for it in (code / "environments").iterdir()] == ["classes"]
    found = subprocess.run(["grep", "-rlF", f"{CHECKOUT}/", code], text=True, capture_output=True)
    assert found.stdout == ""
    size = subprocess.run(["du", "-sm", code], text=True, capture_output=True, check=True).stdout.split()[0]
    page.add("no state, no history, no path of the machine that built it", f"/opt/terrarium is {size} MB")


@pytest.mark.parametrize("name", ["prefect", "worker", "console"])
def test_a_service_has_no_rights(shipped: World, name: str, page: Page) -> None:
    """Not root, no capability, no way to get one, and nowhere to write but its own folders."""
    status = shipped.containers.read_process(name)
    assert (status["Uid"].split(), status["CapEff"], status["NoNewPrivs"]) == ([str(UID)] * 4, "0" * 16, "1")
    for place in ("/opt/terrarium/x", "/usr/local/bin/x", "/etc/x"):
        refused = shipped.containers.run(name, "touch", place)
        assert "Read-only file system" in refused.stderr
    page.add(f"{name}: rights", f"uid {UID}, capabilities {status['CapEff']}, root file system read-only")


def test_terraform_and_its_provider_are_there(shipped: World, page: Page) -> None:
    """Found in the image by the code that runs use."""
    asked = (
        "from blocks.terraform_binary import *; p = find_terraform(None, 'none'); "
        "print(p, *read_version(p), find_provider_mirror(None))"
    )
    told = shipped.containers.run("worker", "python", "-c", asked).stdout.split()
    assert told[:2] == ["/usr/local/bin/terraform", "1"]
    assert told[4] == "/usr/local/share/terraform/plugins"
    page.add("Terraform and the AWS provider in the image", f"{'.'.join(told[1:4])}, {told[4]}")


def test_the_console_asks_for_the_token(shipped: World, page: Page) -> None:
    """Prefect's API asks for its password, and the console for its token."""
    codes = []
    for url in ("http://127.0.0.1:4200/api/flows/filter", "http://127.0.0.1:8700/api/environments"):
        options = ("--noproxy", "*", "-s", "-o", "/dev/null", "-w", "%{http_code}")
        method = ("-d", "{}", "-H", "Content-Type: application/json") if "4200" in url else ()
        codes.append(subprocess.run(["curl", *options, *method, url], text=True, capture_output=True).stdout)
    assert codes == ["401", "401"]
    page.add("Prefect's API and the console without a password or token", "401 and 401")


def test_prefects_pages_call_nobody_else(shipped: World, page: Page) -> None:
    """Both UIs come with a policy that keeps the browser from other sites."""
    for path in ("/", "/v2/"):
        shown = subprocess.run(
            ["curl", "--noproxy", "*", "-sL", f"http://127.0.0.1:4200{path}"], text=True, capture_output=True
        )
        assert "Content-Security-Policy" in shown.stdout
    page.add("Prefect's two UIs", "each with a policy that allows its own server only")


@pytest.mark.parametrize("cloud", ["terraform_data", "aws"])
def test_the_worker_runs_flows(shipped: World, account: None, cloud: str, page: Page) -> None:
    """An environment is made and removed, by flows in the image's worker, asked for by the command line outside."""
    name = f"image-{cloud.partition('_')[0]}"
    file = shipped.write(name, cloud)
    for what, arguments in (("apply", (file,)), ("destroy", (name,))):
        began = time.monotonic()
        done = shipped.terrarium("env", what, *arguments, "--yes")
        assert done.returncode == 0, done.stdout + done.stderr + shipped.containers.read_log("worker")[-5000:]
        run = json.loads(done.stdout)
        assert run["status"] == "succeeded"
        shown = f"{run['changes']} in {time.monotonic() - began:.0f} s"
        page.add(f"`terrarium env {what}` of a sandbox, cloud {cloud}", shown)


@pytest.fixture(scope="module")
def account(shipped: World) -> None:
    """The account `nonproduction` on the emulator, with what its bootstrap would make."""
    environment = os.environ | shipped.services["register"].environment
    environment |= {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "TERRARIUM_EMULATOR_PORT": "5566"}
    environment |= {"PREFECT_HOME": str(shipped.folder / "prefect-home")}
    command = [sys.executable, "-m", "tests.e2e.create_account"]
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_second_registration_changes_nothing(shipped: World, page: Page) -> None:
    """`docker compose up` again: both one-off services end with 0 and say so."""
    told = shipped.containers.run("worker", "python", "-m", "deployments", "register").stdout.strip()
    assert told == "Deployments registered: all were there."
    page.add("registering again", told)


@pytest.fixture(scope="module")
def kubernetes(network: None, kubernetes_programs: Path, folder: Path) -> Iterator[KubernetesServer]:
    """An API server, on the same loopback."""
    with start_kubernetes(kubernetes_programs, folder / "kubernetes") as server:
        made = server.kubectl("apply", "-f", str(MANIFESTS / "namespace.yaml"))
        assert made.returncode == 0, made.stderr
        yield server


def test_the_manifests_pass_the_api_server(kubernetes: KubernetesServer, page: Page) -> None:
    """Every object is accepted, and Pod Security at its strictest has nothing to say."""
    done = kubernetes.kubectl("apply", "--dry-run=server", "--kustomize", str(MANIFESTS))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert all(line.endswith("(server dry run)") for line in lines)
    version = json.loads(kubernetes.kubectl("version", "-o", "json").stdout)["serverVersion"]["gitVersion"]
    page.add(f"`kubectl apply --dry-run=server -k` at Kubernetes {version}", f"{len(lines)} objects, no warning")


def test_a_misspelt_manifest_does_not_pass(kubernetes: KubernetesServer, page: Page) -> None:
    """The check can fail: a field that is unknown, and a pod that may become root."""
    text = kubernetes.kubectl("kustomize", str(MANIFESTS)).stdout
    wrong = text.replace("readinessProbe:", "readynessProbe:")
    refused = kubernetes.kubectl("apply", "--dry-run=server", "-f", "-", text=wrong)
    assert refused.returncode == 1
    assert "readynessProbe" in refused.stderr
    loose = text.replace("runAsNonRoot: true", "runAsNonRoot: false")
    warned = kubernetes.kubectl("apply", "--dry-run=server", "-f", "-", text=loose)
    assert "would violate PodSecurity" in warned.stderr
    page.add("the same with a misspelt field; with a pod that may be root", "refused; warned of")


def test_the_kubernetes_worker_makes_a_job(
    shipped: World, kubernetes: KubernetesServer, account: None, page: Page
) -> None:
    """From the image, with the rights of the manifests' Role alone: the run becomes a job as the template says."""
    assert kubernetes.kubectl("apply", "--kustomize", str(MANIFESTS)).returncode == 0
    token = kubernetes.kubectl("create", "token", "worker", "--namespace", "terrarium").stdout.strip()
    config = shipped.folder / "worker.kubeconfig"
    kubernetes.write_kubeconfig(config, token)
    config.chmod(0o644)
    change_pool(shipped, page)
    start_kubernetes_worker(shipped, config)
    begun = shipped.terrarium("env", "apply", shipped.write("image-job", "terraform_data"), "--yes", "--no-wait")
    assert begun.returncode == 0, begun.stderr
    run_id = json.loads(begun.stdout)["run_id"]
    (job,) = wait_for("the run has its job", lambda: read_jobs(kubernetes, run_id), 120)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    assert job["spec"]["backoffLimit"] == 0
    assert "orbidden" not in shipped.containers.read_log("kubernetes-worker")
    secret = next(it for it in container["env"] if it["name"] == "PREFECT_API_AUTH_STRING")
    assert secret["valueFrom"]["secretKeyRef"]["name"] == "terrarium-client"
    drawn = [value for name, value in shipped.variables.items() if not name.startswith("TERRARIUM_")]
    assert [value for value in drawn if value in json.dumps(job)] == []
    page.add("a run in the pool of type kubernetes", f"job of `{container['image']}`, no password in it")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "terrarium"}}
    pod["spec"] = {key: value for key, value in job["spec"]["template"]["spec"].items() if key != "serviceAccount"}
    passed = kubernetes.kubectl("apply", "--dry-run=server", "-f", "-", text=json.dumps(pod))
    assert passed.returncode == 0, passed.stderr
    page.add("the pod of that job at Pod Security's level restricted", "accepted")


def change_pool(shipped: World, page: Page) -> None:
    """The pool is of type process; the answer says so, and its way out works."""
    shipped.containers.stop("worker", grace_seconds=60)
    again = ("register", "--pool", "kubernetes", "--image", IMAGE)
    refused = shipped.containers.run("console", "python", "-m", "deployments", *again)
    assert refused.returncode == 1
    assert "is of type process" in refused.stderr
    deleted = shipped.containers.run("console", "prefect", "--no-prompt", "work-pool", "delete", "terrarium")
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    done = shipped.containers.run("console", "python", "-m", "deployments", *again)
    assert done.returncode == 0, done.stderr
    page.add("a pool of another type", refused.stderr.splitlines()[0])


def start_kubernetes_worker(shipped: World, config: Path) -> None:
    """The worker of deployments/kubernetes/worker.yaml, in place of compose's."""
    from tests.unit.test_shipping import PODS

    (container,) = PODS["worker"]["spec"]["containers"]
    named = {it["name"]: it.get("value", "terrarium") for it in container["env"]}
    environment = {**shipped.services["worker"].environment, **named, "KUBECONFIG": "/etc/kubeconfig"}
    service = Service(
        "kubernetes-worker",
        tuple(container["args"]),
        environment,
        {},
        (),
        shipped.services["console"].body | {"secrets": [], "volumes": []},
    )
    shipped.containers.start(service, {}, bind(config, "/etc/kubeconfig", "ro"))


def read_jobs(kubernetes: KubernetesServer, run_id: str) -> list[dict[str, object]]:
    """The jobs of a run."""
    found = kubernetes.kubectl("get", "jobs", "-n", "terrarium", "-l", f"prefect.io/flow-run-id={run_id}", "-o", "json")
    return list(json.loads(found.stdout or "{}").get("items", []))
