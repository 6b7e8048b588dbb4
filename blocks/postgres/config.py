"""How the servers of a pair are configured. What both share is in postgresql.conf, which a copy of the data has too.

What is a server's own (port, name, where its primary is) is on its command line: there no copy can change it.
"""

import shlex

from blocks.postgres.pair_files import Pair, standby_conninfo
from domain.pair import Node

#: Seconds that an archive command waits until the segment is in the vault. While it waits no orderly stop ends, and
#: PostgreSQL calls it three times before it gives up.
ARCHIVE_SECONDS = 5
#: After so many seconds what was written is archived, though the segment is not full.
ARCHIVE_TIMEOUT_SECONDS = 300
#: A standby that was away longer than this much WAL is made anew, so that it cannot fill the primary's disk.
SLOT_WAL = "2GB"

ACCESS = """\
# Over TLS alone, from this machine alone, with a password each; nobody is let in by trust.
hostssl replication replicator,backup samehost scram-sha-256
hostssl all postgres,app,backup,probe,replicator samehost scram-sha-256
"""

#: $1 the segment's path, $2 its name, $3 the server's. It answers 0 only when the uploader has said that the segment is
#: in the vault; until the pair is ready there is no backup that a segment could be for, and nothing is kept.
ARCHIVE_SCRIPT = """\
#!/bin/sh
[ -e {spool}/not-yet ] && exit 0
spool={spool}/$3
if [ ! -e "$spool/$2.done" ]; then
  rm -f "$spool/$2.refused"
  cp "$1" "$spool/$2.new" && mv "$spool/$2.new" "$spool/$2" || exit 1
  waited=0
  while [ ! -e "$spool/$2.done" ]; do
    [ -e "$spool/$2.refused" ] && exit 1
    [ "$waited" -ge {tries} ] && exit 1
    waited=$((waited + 1))
    sleep 0.2
  done
fi
rm -f "$spool/$2.done"
"""


def write_config(pair: Pair) -> str:
    """What both servers have in common, as text for postgresql.conf."""
    settings = {
        "ssl": "on",
        "ssl_cert_file": "server.crt",
        "ssl_key_file": "server.key",
        "password_encryption": "scram-sha-256",
        "max_connections": 100,
        "shared_buffers": "64MB",
        "wal_level": "replica",
        "wal_log_hints": "on",
        "wal_compression": "on",
        "max_wal_size": "512MB",
        "wal_keep_size": "256MB",
        "max_slot_wal_keep_size": SLOT_WAL,
        "hot_standby": "on",
        "hot_standby_feedback": "on",
        "wal_retrieve_retry_interval": "200ms",
        "wal_sender_timeout": "10s",
        "wal_receiver_timeout": "10s",
        "wal_receiver_status_interval": "1s",
        # It counts only while synchronous_standby_names names the standby; without it, `on`.
        "synchronous_commit": "remote_apply",
        "archive_timeout": f"{ARCHIVE_TIMEOUT_SECONDS}s",
        "log_min_messages": "warning",
        "log_line_prefix": "%m [%p] ",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    return "".join(f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())


def write_archive_script(pair: Pair) -> str:
    """What the servers call for each segment: nothing of ours, for their account may not reach our programs."""
    return ARCHIVE_SCRIPT.format(spool=shlex.quote(str(pair.spool)), tries=ARCHIVE_SECONDS * 5)


def node_command(pair: Pair, node: Node) -> tuple[str, ...]:
    """How a server is started."""
    server = pair.server(node)
    settings = {
        "listen_addresses": pair.record.host,
        "port": pair.record.ports.of(node),
        "unix_socket_directories": "",
        "cluster_name": pair.name(node),
        # The standby archives what it receives too: a primary that is lost may not have come to its last segments.
        "archive_mode": "always",
        "archive_command": f"/bin/sh {shlex.quote(str(pair.folder / 'archive.sh'))} %p %f {node}",
        "primary_conninfo": standby_conninfo(pair, node),
        "primary_slot_name": slot_name(node),
    }
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return (str(server.programs / "postgres"), "-D", str(server.data), *arguments)


def slot_name(node: Node) -> str:
    """The replication slot that a server has on the other one, while that is the primary."""
    return f"standby_{node}"
