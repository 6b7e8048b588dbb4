"""Counts what an account holds. Reads only; the same calls go to AWS and to the emulator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from blocks.inventory.account import GLOBAL_REGION, Observed
from blocks.inventory.listing import Listing
from blocks.inventory.listings import NOT_ON_EMULATOR, choose_listings
from blocks.inventory.read import read_resources
from blocks.inventory.tagged import Tags, choose_tag_regions, join_tags, read_tagged
from domain.inventory import Inventory, Resource

if TYPE_CHECKING:
    from blocks.aws import AwsAccount

# Calls at a time: an account's API limits are shared with everybody who works in it.
THREADS = 6


def observe_inventory(account: AwsAccount, regions: Sequence[str], resource_types: Iterable[str]) -> Inventory:
    """What the account holds of these Terraform types in these regions and globally, and whatever is tagged there.

    Two inventories can be compared where both were asked for the same types. Raises PermanentError for a type that is
    not in the table and for a call that the account does not allow or not know, TemporaryError where waiting helps.
    """
    listings = choose_listings(resource_types)
    observed = Observed(account, regions)
    holes = NOT_ON_EMULATOR if account.kind == "emulator" else {}
    asked = {kind: listing for kind, listing in listings.items() if kind not in holes}
    listed, tagged = _read_all(observed, asked)
    resources = {one.key: one for one in join_tags(listed, tagged, asked.values())}
    return Inventory(
        account_id=account.account_id,
        regions=observed.regions,
        types=tuple(listings),
        resources=tuple(resources[key] for key in sorted(resources)),
        unasked={kind: holes[kind] for kind in listings if kind in holes},
    )


def _read_all(observed: Observed, listings: dict[str, Listing]) -> tuple[list[Resource], dict[str, Tags]]:
    with ThreadPoolExecutor(THREADS) as pool:
        tags = [
            pool.submit(observed.ask, "what is tagged", region, read_tagged, observed, region)
            for region in choose_tag_regions(observed)
        ]
        lists = [
            pool.submit(observed.ask, kind, region, read_resources, observed, kind, listing, region)
            for kind, listing in listings.items()
            for region in _choose_regions(observed, listing)
        ]
        listed = [resource for answer in lists for resource in answer.result()]
        return listed, {arn: found for answer in tags for arn, found in answer.result().items()}


def _choose_regions(observed: Observed, listing: Listing) -> tuple[str, ...]:
    return (GLOBAL_REGION,) if listing.scope == "global" else observed.regions
