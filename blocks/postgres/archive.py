"""The WAL archive of a pair: an uploader that the supervisor keeps, and where in the vault it writes."""

import sys

from blocks.aws import AwsAccount
from blocks.kept_servers import KeptServer, keep_server, list_kept, start_server
from blocks.postgres.account import write_owned
from blocks.postgres.pair_files import Pair
from blocks.revision import read_revision
from blocks.wal_archive import ArchivePlace, name_prefix

PLACE = "place.json"
#: What an uploader holds in memory as long as it runs.
CODE = ("blocks/wal_archive.py", "blocks/aws_session.py", "deployments/local/archive.py")


def keep_archive(pair: Pair, account: AwsAccount) -> str:
    """The uploader, running, for an account; the prefix in its vault bucket. Again: for the account as it is now."""
    server, place = _describe_uploader(pair), describe_place(pair, account)
    server.directory.mkdir(mode=0o700, exist_ok=True)
    write_owned(server.directory / PLACE, place.model_dump_json(indent=2) + "\n", None)
    keep_server(pair.stack, server)
    start_server(pair.stack, server.name)
    return place.prefix


def is_archive_current(pair: Pair, account: AwsAccount) -> bool:
    """The uploader is this version's, and was told of the account as it is: one bootstrapped again has another key."""
    server = _describe_uploader(pair)
    file = server.directory / PLACE
    is_told = file.exists() and file.read_text() == describe_place(pair, account).model_dump_json(indent=2) + "\n"
    return is_told and server in list_kept(pair.stack)


def _describe_uploader(pair: Pair) -> KeptServer:
    folder = pair.folder / "archive"
    return KeptServer(
        name=pair.name("archive"),
        owner=pair.environment,
        order=12,
        command=(sys.executable, "-I", "-m", "deployments.local.archive", str(folder / PLACE)),
        directory=folder,
        environment=read_revision(*CODE),
    )


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
