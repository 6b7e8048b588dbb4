"""The uploader of a database pair: WAL segments from the spool into the vault bucket, under the supervisor.

`python -m deployments.local.archive FILE`: the file is a blocks.wal_archive.ArchivePlace, read anew each time.
It answers the servers' archive command by a file beside the segment, `done` or `refused`; else it tries again.
"""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from blocks.aws_session import open_session
from blocks.wal_archive import ArchivePlace, put_segment
from domain.errors import PermanentError

POLL_SECONDS = 0.2
#: After a failure, so that an account that is away is not asked all the time.
PATIENCE_SECONDS = 2.0
ANSWERS = (".new", ".done", ".refused")
NOT_YET = "not-yet"


def upload_all(file: Path, clients: dict[str, Any]) -> bool:
    """Everything that waits in the spool; whether all of it went well."""
    place = ArchivePlace.model_validate_json(file.read_text())
    waiting = sorted(path for path in place.spool.rglob("*") if path.is_file() and _is_segment(path))
    answers = [_upload(place, path, clients) for path in waiting]
    return all(answers)


def _is_segment(path: Path) -> bool:
    return path.suffix not in ANSWERS and path.name != NOT_YET


def _upload(place: ArchivePlace, path: Path, clients: dict[str, Any]) -> bool:
    where = f"{place.endpoint_url} {place.role_arn} {place.region}"
    try:
        if where not in clients:
            session = open_session(place.region, place.endpoint_url, place.role_arn, "terrarium-wal-archive")
            clients[where] = session.create_client("s3")
        put_segment(clients[where], place, path)
    except (BotoCoreError, ClientError, OSError) as error:
        logging.warning("%s is not in the archive yet: %s", path.name, error)
        return False
    except PermanentError as error:
        logging.error("%s", error)
        _answer(path, ".refused")
        return False
    _answer(path, ".done")
    return True


def _answer(path: Path, answer: str) -> None:
    """The segment goes first away: whoever dies in between is asked again, and finds it kept."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + answer).touch()


def main() -> None:
    """Until it is ended."""
    os.umask(0o022)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    clients: dict[str, Any] = {}
    while True:
        time.sleep(POLL_SECONDS if upload_all(Path(sys.argv[1]), clients) else PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
