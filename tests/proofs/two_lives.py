"""What the proof of the teardown stands on: a stack, two empty accounts, strangers in one, and two environments."""

import functools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from blocks.aws import AwsAccount
from blocks.inventory import LISTINGS, observe_inventory
from blocks.ledger import Ledger, open_ledger
from blocks.settings import CHECKOUT
from domain.inventory import Inventory
from tests.account_count import REGIONS, Count, count_account, open_clients
from tests.polling import wait_for
from tests.stack import LocalStack

ACCOUNT_IDS = {"staging": "900000000101", "production": "900000000102"}
RUN_SECONDS = 2400
TERRARIUM = Path(sys.executable).with_name("terrarium")


@dataclass(frozen=True)
class Answer:
    """What a command answered: its exit code, its JSON, what it told on stderr, and how long it took."""

    code: int
    json: dict[str, Any]
    told: str
    seconds: float


@dataclass
class Place:
    """An environment of a shipped file, under another name and in an account of its own."""

    stack: LocalStack
    account: AwsAccount
    kind: str
    file: Path
    counts: list[Count] = field(default_factory=list)
    inventories: list[Inventory] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The environment's."""
        return f"proof-{self.kind}"

    @functools.cached_property
    def clients(self) -> Any:
        """boto3 clients of the account that are none of ours."""
        return open_clients(self.stack.settings.emulator_url, self.account.account_id)

    @functools.cached_property
    def ledger(self) -> Ledger:
        """The stack's ledger."""
        return open_ledger(self.stack.environment["TERRARIUM_LEDGER_URL"])

    def count(self) -> Count:
        """Count the account, and keep the count."""
        self.counts.append(count_account(self.clients))
        return self.counts[-1]

    def observe(self) -> Inventory:
        """The account as the flows see it, kept like the counts."""
        self.inventories.append(observe_inventory(self.account, REGIONS, LISTINGS))
        return self.inventories[-1]

    def run(self, *arguments: str, token_file: Path | None = None) -> Answer:
        """`terrarium …`, as a person types it, with --json; as who has the token in that file."""
        own = {"TERRARIUM_TOKEN_FILE": str(token_file)} if token_file else {}
        began = time.monotonic()
        done = subprocess.run(
            [TERRARIUM, *arguments, "--json"],
            env=self.stack.environment | own,
            cwd=CHECKOUT,
            text=True,
            capture_output=True,
            timeout=RUN_SECONDS,
        )
        answer = json.loads(done.stdout) if done.stdout else {}
        return Answer(done.returncode, answer, done.stderr, time.monotonic() - began)

    def apply(self, *more: str) -> Answer:
        """`terrarium env apply FILE --yes`."""
        return self.run("env", "apply", str(self.file), "--yes", *more)

    def destroy(self, *more: str) -> Answer:
        """`terrarium env destroy NAME --yes`."""
        return self.run("env", "destroy", self.name, "--yes", *more)

    def has_ended(self, run_id: str) -> bool:
        """The ledger has the run's outcome."""
        run = self.ledger.read_run(run_id)
        return run is not None and run.status.is_final

    def wait(self, run_id: str) -> dict[str, Any]:
        """A run when it has ended."""
        wait_for(f"run {run_id} has ended", lambda: self.has_ended(run_id), RUN_SECONDS)
        return self.run("runs", "show", run_id).json

    def read_report(self) -> str:
        """The artifact that the newest run left in the Prefect UI."""
        answer = httpx.get(f"{self.stack.settings.prefect_api_url}/artifacts/report-{self.name}/latest")
        return str(answer.raise_for_status().json()["data"])

    def read_vault(self, generation: int) -> dict[str, int]:
        """The copies of the media in the account's vault, key to bytes."""
        prefix = f"media/{self.name}/{generation}/"
        rows = self.clients("s3").list_objects_v2(Bucket=self.account.vault_bucket, Prefix=prefix).get("Contents", [])
        return {row["Key"].removeprefix(prefix): row["Size"] for row in rows}


def prepare(stack: LocalStack, folder: Path) -> dict[str, Place]:
    """Bootstrap both accounts by their HCL and write both files; nothing of an environment is made yet."""
    command = [sys.executable, "-m", "tests.bench.prepare_accounts", *ACCOUNT_IDS.values()]
    done = subprocess.run(command, env=stack.environment, cwd=CHECKOUT, text=True, capture_output=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    accounts = {row["account_id"]: AwsAccount.model_validate(row) for row in json.loads(done.stdout)}
    return {kind: _write(stack, folder, kind, accounts[account_id]) for kind, account_id in ACCOUNT_IDS.items()}


def _write(stack: LocalStack, folder: Path, kind: str, account: AwsAccount) -> Place:
    text = (CHECKOUT / "environments" / f"{kind}.yaml").read_text()
    place = Place(stack, account, kind, folder / f"proof-{kind}.yaml")
    place.file.write_text(text.replace(f"name: {kind}\n", f"name: {place.name}\naccount: {account.name}\n", 1))
    return place


def put_media(place: Place, label: str) -> dict[str, int]:
    """Forty photos, ten of them in three versions, five deleted again; the current ones, key to bytes."""
    s3, bucket = place.clients("s3"), find_media(place)
    bodies = {f"{label}/{number}.jpg": b"x" * (number + 1) for number in range(40)}
    for key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    for key in list(bodies)[:10] * 2:
        s3.put_object(Bucket=bucket, Key=key, Body=bodies[key])
    for key in list(bodies)[-5:]:
        s3.delete_object(Bucket=bucket, Key=key)
    return {key: len(body) for key, body in list(bodies.items())[:-5]}


def find_media(place: Place) -> str:
    """The media bucket, by its name."""
    names = [row["Name"] for row in place.clients("s3").list_buckets()["Buckets"]]
    return str(next(name for name in names if name.startswith(f"terrarium-{place.name}-media")))


def list_media(place: Place) -> dict[str, int]:
    """The current objects of the media bucket, key to bytes; none where it is gone."""
    s3 = place.clients("s3")
    try:
        rows = s3.list_objects_v2(Bucket=find_media(place)).get("Contents", [])
    except StopIteration:
        return {}
    return {row["Key"]: row["Size"] for row in rows}


@contextmanager
def writing(place: Place) -> Iterator[list[str]]:
    """A service that goes on writing to the media bucket until that is gone; the keys that were written."""
    s3, bucket, written, ended = place.clients("s3"), find_media(place), list[str](), threading.Event()

    def write() -> None:
        while not ended.wait(0.5):
            try:
                s3.put_object(Bucket=bucket, Key=f"late/{len(written)}", Body=b"late")
            except s3.exceptions.ClientError:
                return
            written.append(f"late/{len(written)}")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class Strangers:
    """What other people have in the account: a bucket without tags, a network, queues of other environments."""

    bucket: str
    vpc: str
    queues: tuple[str, ...]


def create_strangers(place: Place) -> Strangers:
    """Make them, one with a name that begins as the environment's does."""
    s3, ec2, sqs = place.clients("s3"), place.clients("ec2"), place.clients("sqs")
    bucket = f"somebody-{place.account.account_id}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": place.account.region})
    s3.put_object(Bucket=bucket, Key="letter", Body=b"mine")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    names = {f"terrarium-{place.name}-2": f"{place.name}-2", "jobs": "qa"}
    queues = [
        sqs.create_queue(QueueName=name, tags={"environment": other})["QueueUrl"] for name, other in names.items()
    ]
    return Strangers(bucket, vpc, tuple(queues))


def are_untouched(place: Place, strangers: Strangers) -> bool:
    """The bucket has its object, the network its range, the queues their tags."""
    s3, ec2, sqs = place.clients("s3"), place.clients("ec2"), place.clients("sqs")
    body = s3.get_object(Bucket=strangers.bucket, Key="letter")["Body"].read()
    vpc = ec2.describe_vpcs(VpcIds=[strangers.vpc])["Vpcs"][0]["CidrBlock"]
    tags = [sqs.list_queue_tags(QueueUrl=url)["Tags"]["environment"] for url in strangers.queues]
    return (body, vpc, tags) == (b"mine", "10.9.0.0/16", [f"{place.name}-2", "qa"])
