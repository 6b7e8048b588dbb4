"""The second way to count: what the Resource Groups Tagging API names, and how it is joined with the lists.

A list call is the truth for its own types: the tagging API answers late, and names what was deleted lately. For all
other types it is the only witness, and whatever it names there is a resource.
"""

from collections.abc import Collection, Mapping

from blocks.inventory.account import GLOBAL, GLOBAL_REGION, Observed
from blocks.inventory.listing import Listing
from domain.inventory import Resource

Tags = Mapping[str, str]
# The emulator's word in an ARN, and AWS's.
EMULATOR_KINDS = {":flow-logs/": ":vpc-flow-log/"}


def read_tagged(observed: Observed, region: str) -> dict[str, Tags]:
    """The tags of everything that is or was tagged, by ARN. Outside of the asked regions, only what has no region."""
    pages = observed.client("resourcegroupstaggingapi", region).get_paginator("get_resources").paginate()
    found = {
        _spell(row["ResourceARN"]): {tag["Key"]: tag["Value"] for tag in row["Tags"]}
        for page in pages
        for row in page["ResourceTagMappingList"]
    }
    return {arn: tags for arn, tags in found.items() if region in observed.regions or not arn.split(":")[3]}


def choose_tag_regions(observed: Observed) -> list[str]:
    """The regions to ask: the observed ones, and the one that answers for global services."""
    return list(dict.fromkeys([*observed.regions, GLOBAL_REGION]))


def join_tags(listed: Collection[Resource], tagged: Mapping[str, Tags], known: Collection[Listing]) -> list[Resource]:
    """The listed resources with their tags, and what only the tagging API knows."""
    kinds = {listing.kind for listing in known if listing.kind}
    joined = [
        one.model_copy(update={"tags": tagged[one.arn], "is_tagged": True}) if one.arn in tagged else one
        for one in listed
    ]
    others = [_read_tagged(arn, tags) for arn, tags in tagged.items() if _read_kind(arn) not in kinds]
    return [*joined, *others]


def _read_tagged(arn: str, tags: Tags) -> Resource:
    name = tags.get("Name", "")
    return Resource(
        type=_read_kind(arn), region=arn.split(":")[3] or GLOBAL, id=arn, arn=arn, name=name, tags=tags, is_tagged=True
    )


def _read_kind(arn: str) -> str:
    """`ec2:vpc` of arn:aws:ec2:REGION:ACCOUNT:vpc/ID; `sqs:` where the resource part is a bare name."""
    _, _, service, _, _, resource = arn.split(":", 5)
    kind = resource.replace(":", "/").split("/")
    return f"{service}:{kind[0] if len(kind) > 1 else ''}"


def _spell(arn: str) -> str:
    for emulator, aws in EMULATOR_KINDS.items():
        arn = arn.replace(emulator, aws)
    return arn
