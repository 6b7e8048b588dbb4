"""Runs the list calls of a listing and reads resources out of what they answer."""

from collections.abc import Iterator
from typing import Any

import jmespath  # type: ignore[import-untyped]  # it ships no type information

from blocks.inventory.account import GLOBAL, Observed
from blocks.inventory.listing import Call, Listing
from domain.errors import PermanentError
from domain.inventory import Resource

Row = dict[str, Any]
# Operations that boto3 cannot page by itself answer one of these, and take it back under the same name.
TOKENS = ("NextToken", "nextToken", "NextMarker")


def read_resources(observed: Observed, kind: str, listing: Listing, region: str) -> list[Resource]:
    """The resources of one type that one region lists, without those that AWS made or that are gone."""
    client = observed.client(listing.service, region)
    owned: set[str] = set()
    if listing.aws_owns:
        owned = {str(row) for row in _call(client, listing.aws_owns.call, {})}
    rows = [row for row in _rows(client, listing.calls, {}) if _is_ours(listing, row, owned)]
    found = [_read_resource(observed, kind, listing, region, row) for row in rows]
    return [one for one in found if one.region == GLOBAL or one.region in observed.regions]


def _rows(client: Any, calls: tuple[Call, ...], parent: Row) -> Iterator[Row]:
    for row in _call(client, calls[0], parent):
        merged = {**parent, **row}
        yield from _rows(client, calls[1:], merged) if len(calls) > 1 else [merged]


def _call(client: Any, call: Call, parent: Row) -> list[Any]:
    given = {name: jmespath.search(expression, parent) for name, expression in call.given.items()}
    try:
        pages = list(_pages(client, call.operation, {**call.fixed, **given}))
    except client.exceptions.ClientError as error:
        if given and _is_vanished(error.response["Error"]["Code"]):
            return []
        raise
    found = [jmespath.search(call.items, page) for page in pages]
    return [row for rows in found if rows for row in (rows if isinstance(rows, list) else [rows])]


def _is_vanished(code: str) -> bool:
    """What the call above listed was deleted since."""
    return "NotFound" in code or code.startswith("NoSuch")


def _pages(client: Any, operation: str, arguments: Row) -> Iterator[Row]:
    if client.can_paginate(operation):
        yield from client.get_paginator(operation).paginate(**arguments)
        return
    token: Row | None = {}
    while token is not None:
        page: Row = getattr(client, operation)(**arguments, **token)
        yield page
        token = next(({name: page[name]} for name in TOKENS if page.get(name)), None)


def _is_ours(listing: Listing, row: Row, owned: set[str]) -> bool:
    if jmespath.search(listing.made_by_aws, row) or jmespath.search(listing.is_gone, row):
        return False
    return not (listing.aws_owns and jmespath.search(listing.aws_owns.field, row) in owned)


def _read_resource(observed: Observed, kind: str, listing: Listing, region: str, row: Row) -> Resource:
    found = jmespath.search(listing.id, row)
    if not found:
        raise PermanentError(
            f"The list of {kind} in {region} has a row without {listing.id}.",
            "Mend the type's line in the tables of blocks/inventory.",
        )
    found = found.removeprefix(listing.id_prefix)
    home = GLOBAL if listing.scope != "regional" else region
    return Resource(
        type=kind,
        region=(jmespath.search(listing.region, row) if listing.region else None) or home,
        id=found,
        arn=_read_arn(observed, listing, region, row, found),
        name=(jmespath.search(listing.name, row) if listing.name else None) or _tail(found),
        is_pending_deletion=bool(jmespath.search(listing.is_pending, row)),
        is_listed=True,
    )


def _read_arn(observed: Observed, listing: Listing, region: str, row: Row, found: str) -> str:
    """The ARN as the service tells it, or by its form. Source: Service Authorization Reference, "resource types"."""
    if listing.arn and not listing.arn.startswith("arn:"):
        return str(jmespath.search(listing.arn, row) or "")
    if not listing.kind:
        return ""
    form = listing.arn or f"arn:{{partition}}:{listing.kind.replace(':', ':{region}:{account}:', 1)}/{{tail}}"
    place = {"partition": observed.partition, "region": region, "account": observed.account.account_id}
    return form.format(**place, tail=_tail(found), path=found.lstrip("/"))


def _tail(found: str) -> str:
    return found.rsplit("/", 1)[-1]
