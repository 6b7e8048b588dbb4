"""An account after a teardown is what it was before the first apply, but for what was announced. Counted by boto3.

Staging and production are made as shipped, in accounts of their own; staging lives twice.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from domain.inventory import compare
from domain.remains import classify_remains
from tests.account_count import COUNTED, REGIONS, Count, Name
from tests.polling import wait_for
from tests.proofs.page import Page
from tests.proofs.two_lives import (
    Answer,
    Place,
    Strangers,
    are_untouched,
    create_strangers,
    list_media,
    prepare,
    put_media,
    writing,
)
from tests.stack import LocalStack

pytestmark = pytest.mark.timeout(5400)
ABOUT = (
    "Staging and production as shipped, each in an account of its own on the emulator; the counts are boto3's own list "
    "calls (`tests/account_count.py`), not the inventory that the flow itself uses."
)
#: What is part of another resource that would be noticed, and cannot stay without it.
GOES_WITH = {
    "aws_route53_record": "its zone",
    "aws_sns_topic_subscription": "its topic",
    "aws_lb_listener_rule": "its listener",
    "aws_vpc_security_group_ingress_rule": "its security group",
    "aws_autoscaling_group": "its node group",
    "aws_instance": "its node group",
}


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """The proof's page, written when every claim of this file held."""
    page, failed_before = Page("teardown", ABOUT), request.session.testsfailed
    yield page
    if request.session.testsfailed == failed_before:
        page.write()


@pytest.fixture(scope="module")
def places(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory, page: Page) -> dict[str, Place]:
    """Both accounts bootstrapped."""
    return prepare(stack, tmp_path_factory.mktemp("proof"))


@pytest.fixture(scope="module")
def strangers(places: dict[str, Place]) -> Strangers:
    """Other people's things in staging's account, and its first count with them."""
    found = create_strangers(places["staging"])
    places["staging"].count()
    places["staging"].observe()
    return found


@pytest.fixture(scope="module")
def made(places: dict[str, Place], strangers: Strangers, page: Page) -> dict[str, Place]:
    """Both environments, made one after the other from their files."""
    for place in places.values():
        applied = place.apply()
        assert applied.code == 0, (applied.json, applied.told)
        shown = f"{applied.json['changes']['add']} resources in {applied.seconds:.0f} s"
        page.add(f"`terrarium env apply` of {place.kind}", shown)
    return places


def test_staging_and_production_differ_in_their_accounts(made: dict[str, Place], page: Page) -> None:
    """Replica, cluster, protection, alarms and windows: read from AWS, and the windows from what was stored."""
    staging, production = (_read_traits(made[kind]) for kind in ("staging", "production"))
    for trait in ("replicas", "cluster", "is_protected", "alarms", "windows"):
        assert staging[trait] != production[trait], trait
        page.add(f"staging and production differ: {trait}", f"{staging[trait]} / {production[trait]}")
    assert (staging["replicas"], production["replicas"]) == (0, 1)
    assert (staging["is_protected"], production["is_protected"]) == (False, True)


def _read_traits(place: Place) -> dict[str, object]:
    name = f"terrarium-{place.name}"
    abroad = place.clients("rds", REGIONS[1]).describe_db_instances()["DBInstances"]
    (database,) = place.clients("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    group = place.clients("eks").describe_nodegroup(clusterName=name, nodegroupName="main")["nodegroup"]
    versions = place.clients("ec2").describe_launch_template_versions(LaunchTemplateName=f"{name}-nodes")
    alarms = place.clients("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]
    return {
        "replicas": len(abroad),
        "cluster": (
            versions["LaunchTemplateVersions"][-1]["LaunchTemplateData"]["InstanceType"],
            *(group["scalingConfig"][size] for size in ("desiredSize", "maxSize")),
        ),
        "is_protected": database["DeletionProtection"],
        "alarms": {one["AlarmName"].removeprefix(f"{name}-"): one["Threshold"] for one in alarms},
        "windows": [
            f"{one['schedule']} for {one['duration']}"
            for one in place.run("env", "show", place.name).json["spec"]["maintenance_windows"]
        ],
    }


def test_a_protected_environment_is_not_removed(made: dict[str, Place], page: Page) -> None:
    """Exit 2, status refused, the way out, and nothing is gone."""
    production = made["production"]
    before = production.count()
    refused = production.destroy()
    assert (refused.code, refused.json["status"]) == (2, "refused")
    assert "protection.teardown: allowed" in refused.json["resolution"]
    assert production.count() == before
    page.add("`terrarium env destroy` of production", f"exit 2, refused; {len(before.present)} rows as before")


def test_every_resource_would_be_noticed_if_it_stayed(made: dict[str, Place], page: Page) -> None:
    """What the apply added is known to the teardown's last step, by its tag or by its id in the journal."""
    place = made["staging"]
    before, ready = place.inventories[0], place.observe()
    added = compare(before, ready).extra
    noticed = classify_remains(ready, place.name, place.ledger.read_resource_ids(place.name)).unexpected
    silent = Counter(one.type for one in added if one not in noticed)
    assert silent.keys() <= GOES_WITH.keys(), silent
    planned = {event.resource_type for event in place.ledger.read_journal(_read_last_run(place))}
    assert planned <= COUNTED
    others = ", ".join(f"{number} {kind} with {GOES_WITH[kind]}" for kind, number in sorted(silent.items()))
    page.add(
        "of what the apply added, the teardown would name what stays",
        f"{len(noticed)} resources by tag or id; {others}",
    )


def _read_last_run(place: Place) -> str:
    return str(place.run("env", "show", place.name).json["runs"][0]["run_id"])


def test_first_life(made: dict[str, Place], strangers: Strangers, page: Page) -> None:
    """Destroyed at once: the count is the first one, but for what was announced."""
    place = made["staging"]
    current = put_media(place, "summer")
    announced = {item["what"] for item in place.run("env", "show", place.name).json["leftovers"]}
    done = place.destroy()
    assert done.code == 0, (done.json, done.told)
    assert place.read_vault(1) == current
    check_as_before(place, done, announced, page, "first life")
    page.add("media in the vault", f"{len(current)} current objects of 40, byte for byte; 25 other versions went")
    assert are_untouched(place, strangers)


def check_as_before(place: Place, done: Answer, announced: set[str], page: Page, life: str) -> None:
    """Nothing is gone; what is new is announced by its kind, and named in the report."""
    before, after = place.counts[0], place.count()
    assert before.present <= after.present
    added = after.present - before.present
    kept = {name for name in added if name[0] == "aws_db_snapshot"}
    assert added == (after.pending - before.pending) | kept
    words = {"aws_db_snapshot": "snapshot", "aws_kms_key": "keys", "aws_secretsmanager_secret": "secrets"}
    assert {kind for kind, _, _ in added} == words.keys()
    assert all(any(word in what for what in announced) for word in (*words.values(), "media"))
    check_snapshots(place, kept, page, life)
    report = place.read_report()
    assert [name for name in added if name[2] not in report] == []
    assert f"media/{place.name}/" in report
    shown = ", ".join(f"{number} {kind}" for kind, number in sorted(Counter(kind for kind, _, _ in added).items()))
    destroyed = done.json["changes"]["destroy"]
    page.add(f"{life}: removed in {done.seconds:.0f} s", f"{destroyed} resources by the last run")
    page.add(f"{life}: rows before and after", f"{len(before.present)} and {len(after.present)}: {shown}, all named")


def check_snapshots(place: Place, kept: set[Name], page: Page, life: str) -> None:
    """They are under a key that outlives the environment; its own keys wait for their deletion."""
    for _, region, name in kept:
        (snapshot,) = place.clients("rds", region).describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
        key = place.clients("kms", region).describe_key(KeyId=snapshot["KmsKeyId"])["KeyMetadata"]
        assert (key["Arn"], key["KeyState"]) == (place.account.kms_key_id, "Enabled")
    page.add(f"{life}: snapshots that stay", f"{len(kept)}, each under the account's key")


def test_second_life(made: dict[str, Place], strangers: Strangers, page: Page) -> None:
    """The same name again: nothing blocks it. Its teardown is interrupted, held up twice, and comes to its end."""
    place = made["staging"]
    applied = place.apply()
    assert applied.code == 0, (applied.json, applied.told)
    page.add("the same name again", f"{applied.json['changes']['add']} resources in {applied.seconds:.0f} s")
    current = put_media(place, "winter")
    announced = {item["what"] for item in place.run("env", "show", place.name).json["leftovers"]}
    late = interrupt_teardown(place, page)
    left = list_media(place)
    queue = place.clients("sqs").create_queue(QueueName="by-hand", tags={"environment": place.name})["QueueUrl"]
    check_named(place, "aws_sqs_queue by-hand", page, "a queue made by hand with the environment's tag")
    place.clients("sqs").delete_queue(QueueUrl=queue)
    group = f"/terrarium/terrarium-{place.name}/services"
    place.clients("logs").create_log_group(logGroupName=group)
    check_named(place, "aws_cloudwatch_log_group", page, "a log group that came again, without tags")
    place.clients("logs").delete_log_group(logGroupName=group)
    done = place.destroy()
    assert done.code == 0, (done.json, done.told)
    vault = place.read_vault(2)
    assert vault.items() >= (current | left | dict.fromkeys(late, len(b"late"))).items()
    shown = f"{len(late)} objects, {len(left)} still there at its end; {len(vault) - len(current)} in the vault"
    page.add("media written while that teardown ran", shown)
    check_as_before(place, done, announced, page, "second life")
    assert are_untouched(place, strangers)
    page.add("strangers in the account", "bucket without tags, network, queues of other environments: untouched")


def interrupt_teardown(place: Place, page: Page) -> list[str]:
    """Cancel a teardown while Terraform removes and a service still writes media; the keys that were written."""
    with writing(place) as late:
        begun = place.destroy("--no-wait")
        run_id = str(begun.json["run_id"])
        wait_for("Terraform removes", lambda: _count_removed(place, run_id) >= 5 or place.has_ended(run_id), 600)
        place.run("runs", "cancel", run_id)
        ended = place.wait(run_id)
    assert ended["status"] in ("cancelled", "failed")
    assert place.run("env", "show", place.name).json["environment"]["status"] == "degraded"
    removed = _count_removed(place, run_id)
    page.add("teardown cancelled while Terraform removed", f"{removed} resources gone, environment degraded")
    return late


def _count_removed(place: Place, run_id: str) -> int:
    return sum(event.kind == "completed" for event in place.ledger.read_journal(run_id))


def check_named(place: Place, name: str, page: Page, what: str) -> None:
    """The teardown removes everything else and fails with the name of what stays."""
    failed = place.destroy()
    assert (failed.code, failed.json["status"]) == (1, "failed")
    assert "1 of its resources are still there" in failed.json["error"]
    assert name in failed.json["error"]
    page.add(f"a teardown is held up by {what}", f"exit 1: {failed.json['error']}")


def test_nothing_else_happened_in_the_account(made: dict[str, Place]) -> None:
    """All counts together: what was there before the first apply was there at every one."""
    counts: list[Count] = made["staging"].counts
    always: frozenset[Name] = frozenset.intersection(*(count.present for count in counts))
    assert counts[0].present == always
