"""The WAL archive of a pair: an uploader that the supervisor keeps, and where in the vault it writes."""

import sys

from blocks.aws import AwsAccount
from blocks.kept_servers import KeptServer, keep_server, start_server
from blocks.postgres.account import write_owned
from blocks.postgres.pair_files import Pair
from blocks.wal_archive import ArchivePlace, name_prefix

PLACE = "place.json"


def keep_archive(pair: Pair, account: AwsAccount) -> str:
    """The uploader, running, for an account; the prefix in its vault bucket. Again: for the account as it is now."""
    folder = pair.folder / "archive"
    folder.mkdir(mode=0o700, exist_ok=True)
    place = describe_place(pair, account)
    write_owned(folder / PLACE, place.model_dump_json(indent=2) + "\n", None)
    server = KeptServer(
        name=pair.name("archive"),
        owner=pair.environment,
        order=12,
        command=(sys.executable, "-I", "-m", "deployments.local.archive", str(folder / PLACE)),
        directory=folder,
    )
    keep_server(pair.stack, server)
    start_server(pair.stack, server.name)
    return place.prefix


def is_archive_current(pair: Pair, account: AwsAccount) -> bool:
    """The uploader was told of the account as it is now: one that was bootstrapped again has another key."""
    file = pair.folder / "archive" / PLACE
    return file.exists() and file.read_text() == describe_place(pair, account).model_dump_json(indent=2) + "\n"


def describe_place(pair: Pair, account: AwsAccount) -> ArchivePlace:
    """Where a pair's segments go."""
    return ArchivePlace(
        spool=pair.spool,
        bucket=account.vault_bucket,
        prefix=name_prefix(pair.environment, pair.record.system_identifier),
        region=account.region,
        endpoint_url=account.endpoint_url,
        role_arn=account.role_arn,
        encryption=account.encryption,
    )
