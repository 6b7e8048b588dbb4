"""A living staging is changed in every way that goes wrong, and a hundred environments are asked for at once.

Staging is as shipped, in an account of its own on the emulator; a hundred calls come from sixteen threads.
"""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from blocks.aws_objects import empty_bucket
from blocks.ledger import Ledger, open_ledger
from blocks.module_archive import STACKS, digest_modules, pack_modules
from tests.polling import wait_for
from tests.proofs.page import Page
from tests.proofs.two_lives import Answer, Place, prepare
from tests.stack import LocalStack

pytestmark = pytest.mark.timeout(5400)
ABOUT = (
    "A live staging on the emulator, changed through the command line as a person types it; then a hundred "
    "environments through the API, 98 on the `terraform_data` stack and 2 on AWS's, to `ready` and down again."
)
AT_ONCE = 16
ON_AWS = 2
CALLS = 100
SEARCH = "  search:\n    image:"
MAIL = """  mail:
    image: registry.example/travelblog/mail:1.0.0
    replicas: 1
    requests: {cpu: 100m, memory: 64Mi}
    limits: {cpu: 100m, memory: 64Mi}
"""
SMALL = """name: {name}
class: sandbox
cloud: {cloud}
account: {account}
owner: platform@travelblog.example
cost_centre: TB-100
data:
  queue: {{retention_days: 4}}
"""


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """The proof's page, written when every claim of this file held."""
    page, failed_before = Page("provision", ABOUT), request.session.testsfailed
    yield page
    if request.session.testsfailed == failed_before:
        page.write()


@pytest.fixture(scope="module")
def staging(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory, page: Page) -> Place:
    """Staging, ready."""
    place = prepare(stack, tmp_path_factory.mktemp("proof"))["staging"]
    applied = place.apply()
    assert applied.code == 0, (applied.json, applied.told)
    page.add(
        "`terrarium env apply` of staging", f"{applied.json['changes']['add']} resources in {applied.seconds:.0f} s"
    )
    return place


def edit(place: Place, old: str, new: str) -> None:
    """Change the file as a person would."""
    text = place.file.read_text()
    assert old in text, old
    place.file.write_text(text.replace(old, new, 1))


def plan(place: Place) -> Answer:
    """`terrarium env plan FILE`."""
    planned = place.run("env", "plan", str(place.file))
    assert planned.code == 0, planned.told
    return planned


def apply(place: Place, *more: str) -> dict[str, Any]:
    """`terrarium env apply FILE --yes`, which succeeds; what it changed."""
    applied = place.apply(*more)
    assert applied.code == 0, applied.json
    return dict(applied.json["changes"])


def read_refusal(answer: Answer) -> str:
    """Why a command was refused: by the API before there is a run, or by the run itself."""
    assert answer.code == 2, answer.json
    error = answer.json["error"]
    return str(error if isinstance(error, str) else error["summary"])


def status(place: Place) -> str:
    """The environment's."""
    return str(place.run("env", "show", place.name).json["environment"]["status"])


def test_resize(staging: Place, page: Page) -> None:
    """A larger instance is a change in place, and the plan says which attribute."""
    edit(staging, "class: staging\n", "class: staging\nsize: large\n")
    rows = {row["address"]: row for row in plan(staging).json["planned"]}
    (database,) = (row for row in rows.values() if row["resource_type"] == "aws_db_instance")
    told = {one["key"]: (one["before"], one["after"]) for one in database["differences"]}
    assert (database["action"], "instance_class" in told) == ("change", True)
    changes = apply(staging)
    assert changes["change"] >= 1
    before, after = told["instance_class"]
    page.add("resize", f"{changes}; the plan said instance_class {before} → {after}")


def test_a_service_is_added_and_removed(staging: Place, page: Page) -> None:
    """Its repository and log group come and go; nothing else does."""
    edit(staging, SEARCH, MAIL + SEARCH)
    added = apply(staging)
    assert added["add"] >= 1
    assert added["destroy"] == 0
    edit(staging, MAIL, "")
    removed = apply(staging)
    assert (removed["add"], removed["destroy"]) == (0, added["add"])
    page.add("a service added, then removed", f"{added}, then {removed}")


def test_replacing_the_database_is_refused(staging: Place, page: Page) -> None:
    """Taken from the file, it would be destroyed: exit 2, the address, the way; nothing changes."""
    kept = staging.file.read_text()
    edit(staging, '  database:\n    version: "16"\n    backup_retention_days: 7\n', "")
    for _ in ("api", "worker"):
        edit(staging, "depends_on: [database, ", "depends_on: [")
    before = staging.count()
    refused = staging.apply()
    assert (refused.code, refused.json["status"]) == (2, "refused")
    assert "aws_db_instance" in refused.json["error"]
    assert "--replace" in refused.json["resolution"]
    assert staging.count() == before
    staging.file.write_text(kept)
    page.add("taking the database away", f"exit 2: {refused.json['error'][:160]}…")


def test_a_provider_error_midway(staging: Place, page: Page) -> None:
    """A name that somebody else took: degraded, with what failed; when it is free again, the next apply converges."""
    squatter = f"terrarium/{staging.name}/mail"
    staging.clients("ecr").create_repository(repositoryName=squatter)
    edit(staging, SEARCH, MAIL + SEARCH)
    failed = staging.apply()
    assert (failed.code, failed.json["status"]) == (1, "failed")
    assert "RepositoryAlreadyExists" in failed.json["error"]
    assert status(staging) == "degraded"
    staging.clients("ecr").delete_repository(repositoryName=squatter, force=True)
    changes = apply(staging)
    assert status(staging) == "ready"
    page.add("a provider error midway", f"exit 1, `degraded`; then {changes} and `ready`")


def test_the_bucket_goes_away_as_the_state_is_written(staging: Place, page: Page) -> None:
    """S3 has no such bucket at the end of an apply: the state waits in a file, and the next apply takes it up."""
    edit(staging, "retention_days: 7\n  cache", "retention_days: 8\n  cache")
    begun = staging.apply("--no-wait")
    run_id = str(begun.json["run_id"])
    wait_for(
        "Terraform begins",
        lambda: any(event.kind == "started" for event in staging.ledger.read_journal(run_id)),
        300,
        0.01,
    )
    with without_bucket(staging):
        failed = staging.wait(run_id)
    assert failed["status"] == "failed", failed
    assert "errored.tfstate" in failed["error"]
    assert status(staging) == "degraded"
    changes = apply(staging)
    assert status(staging) == "ready"
    page.add("the state bucket is gone at the end of an apply", f"`degraded`, errored.tfstate; then {changes}, `ready`")


@contextmanager
def without_bucket(place: Place) -> Iterator[None]:
    """The state bucket is gone, and comes back with what it held before, without locks."""
    s3, bucket = place.clients("s3"), place.account.state_bucket
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"] if not row["Key"].endswith(".tflock")]
    kept = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    empty_bucket(place.account, bucket)
    s3.delete_bucket(Bucket=bucket)
    try:
        yield
    finally:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": place.account.region})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for key, body in kept.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body)


def test_a_module_upgrade(staging: Place, tmp_path: Path, page: Page) -> None:
    """Staging keeps older modules through an apply, and gets the newer ones by `env upgrade` alone."""
    stacks = tmp_path / "terraform" / "stacks"
    shutil.copytree(STACKS / "aws", stacks / "aws")
    shutil.copytree(STACKS.parent / "modules", stacks.parent / "modules")
    queue = 'resource "aws_sqs_queue" "obsolete" {\n  name = "terrarium-${var.environment}-obsolete"\n}\n'
    (stacks / "aws" / "obsolete.tf").write_text(queue)
    older = digest_modules("aws", stacks)
    staging.account.put_modules(older, pack_modules("aws", stacks))
    last = staging.run("env", "show", staging.name).json["runs"][0]["run_id"]
    staging.ledger.add_module_pin(staging.name, 1, older, "", last)
    assert apply(staging) == {"add": 1, "change": 0, "destroy": 0}
    assert apply(staging) == {"add": 0, "change": 0, "destroy": 0}
    address = "aws_sqs_queue.obsolete"
    refused = staging.run("env", "upgrade", staging.name, "--yes")
    assert refused.code == 2, refused.json
    upgraded = staging.run("env", "upgrade", staging.name, "--yes", "--replace", address)
    assert upgraded.json["changes"] == {"add": 0, "change": 0, "destroy": 1}
    assert apply(staging) == {"add": 0, "change": 0, "destroy": 0}
    page.add(
        "a module upgrade",
        "older modules kept through two applies; `env upgrade` named what goes, refused it, and did it when named",
    )


def test_approvals(staging: Place, tmp_path: Path, page: Page) -> None:
    """Protected from now on: not approved by who asked, not applied after the spec changed, applied when approved."""
    token = staging.run("token", "create", "bob", "--role", "operator").json["value"]
    bob = tmp_path / "bob.token"
    bob.write_text(token)
    edit(staging, "alarms:", "protection:\n  teardown: refused\nalarms:")
    first = str(plan(staging).json["plan_id"])
    unapproved = staging.run("env", "apply", staging.name, "--plan", first)
    assert "has no approval that counts" in read_refusal(unapproved)
    assert read_refusal(staging.run("approve", first, "--reason", "mine"))
    assert staging.run("approve", first, "--reason", "seen", token_file=bob).code == 0
    edit(staging, "retention_days: 8", "retention_days: 9")
    second = str(plan(staging).json["plan_id"])
    stale = staging.run("env", "apply", staging.name, "--plan", first)
    assert "its spec has changed" in read_refusal(stale)
    assert staging.run("approve", second, "--reason", "seen", token_file=bob).code == 0
    applied = staging.run("env", "apply", staging.name, "--plan", second)
    assert (applied.code, applied.json["status"]) == (0, "succeeded")
    page.add("an approval by who asked; an apply without one; one after the spec changed", "exit 2 each")
    page.add("the new plan, approved by somebody else", f"applied: {applied.json['changes']}")


def test_a_hundred_environments(stack: LocalStack, staging: Place, page: Page) -> None:
    """Asked for at sixteen at once: none lost, none doubled; a repeated key starts nothing; up and down again."""
    ledger = open_ledger(stack.environment["TERRARIUM_LEDGER_URL"])
    names = [f"hundred-{number:02d}" for number in range(CALLS)]
    with httpx.Client(
        base_url=stack.settings.api_url, headers={"Authorization": f"Bearer {stack.token}"}, timeout=60
    ) as api:
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda name: create(api, name, staging.account.name), names))
        seconds = time.monotonic() - began
        assert [answer.status_code for answer in answers] == [202] * CALLS
        run_ids = {answer.json()["run_id"] for answer in answers}
        again = create(api, names[0], staging.account.name)
        assert again.json()["run_id"] == answers[0].json()["run_id"]
        wait_for("all are ready", lambda: count(ledger, names, "ready") == CALLS, 3600, 2)
        up_seconds = time.monotonic() - began
        made = [run for name in names for run in ledger.list_runs(name)]
        assert {run.run_id for run in made} == run_ids
        assert len(made) == len(run_ids) == CALLS
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            gone = list(pool.map(lambda name: api.delete(f"/api/environments/{name}"), names))
        assert [answer.status_code for answer in gone] == [202] * CALLS
        wait_for("all are gone", lambda: count(ledger, names, "destroyed") == CALLS, 3600, 2)
    page.add(
        f"{CALLS} calls at {AT_ONCE} at once",
        f"answered within {seconds:.1f} s; {len(run_ids)} runs, a repeated key started none",
    )
    page.add(
        f"{CALLS - ON_AWS} on `terraform_data` and {ON_AWS} on AWS",
        f"`ready` after {up_seconds / 60:.0f} min, `destroyed` {(time.monotonic() - began) / 60:.0f} min later",
    )


def create(api: httpx.Client, name: str, account: str) -> httpx.Response:
    """POST /api/environments, with the name as its idempotency key."""
    cloud = "aws" if int(name[-2:]) < ON_AWS else "terraform_data"
    spec = SMALL.format(name=name, cloud=cloud, account=account)
    return api.post("/api/environments", json={"spec": spec}, headers={"Idempotency-Key": name})


def count(ledger: Ledger, names: list[str], wanted: str) -> int:
    """How many of the environments have that status."""
    return sum(row.status == wanted for row in ledger.list_environments() if row.name in names)
