"""Somebody who does not trust us: PostgreSQL's own client library and the standard library, none of Terrarium's code.

`watch LOG` writes rows of its own until stdin ends, through whatever connection it gets where PGHOST and PGPORT lead,
and logs when each was acknowledged; it prints the longest time without an acknowledgement. `recount LOG RUN_ID` reads
the drill's log and counts at the server what is missing and what is in doubt; `missing LOG WHO` does so with the rows
of a watcher, whose name is its process id.
"""

import itertools
import json
import os
import sys
import threading
import time

import psycopg

TABLE = "public.observed"


def watch(log: str) -> dict[str, object]:
    """Write until stdin ends."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    name, number, acknowledged, trips = str(os.getpid()), 0, [], []
    with open(log, "w", buffering=1) as lines:
        while not ended.is_set():
            try:
                with psycopg.connect("", autocommit=True, connect_timeout=2) as session:
                    if not number:
                        session.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (who text, number bigint)")
                    while not ended.is_set():
                        number += 1
                        began = time.time()
                        session.execute(f"INSERT INTO {TABLE} VALUES (%s, %s)", (name, number))  # noqa: S608
                        acknowledged.append(time.time())
                        trips.append(acknowledged[-1] - began)
                        lines.write(f"{number} {acknowledged[-1]:.6f}\n")
                        time.sleep(0.005)
            except psycopg.Error:
                time.sleep(0.005)
    gaps = [(later - earlier, earlier) for earlier, later in itertools.pairwise(acknowledged)]
    longest, began_at = max(gaps, default=(None, None))
    trip = sorted(trips)[len(trips) // 2] if trips else None
    return {"gap_seconds": longest, "gap_began_at": began_at, "rows": len(acknowledged), "trip_seconds": trip}


def recount(log: str, run_id: str) -> dict[str, object]:
    """What the drill's client was told, against what is there."""
    sent, told = set(), {}
    for line in open(log):  # noqa: SIM115 - read once, and the process ends
        words = line.split()
        if words[0] == "sent":
            sent.add(int(words[1]))
        elif words[0] == "acknowledged":
            told[int(words[1])] = float(words[2])
    with psycopg.connect("", autocommit=True) as session:
        there = {row[0] for row in session.execute("SELECT number FROM probe.written WHERE run_id = %s", (run_id,))}
    times = sorted(told.values())
    return {
        "rpo_rows": len(set(told) - there),
        "in_doubt_rows": len(sent - set(told)),
        "rto_seconds": max(later - earlier for earlier, later in itertools.pairwise(times)),
    }


def missing(log: str, who: str) -> dict[str, object]:
    """A watcher's rows that were acknowledged and are gone."""
    told = {int(line.split()[0]) for line in open(log) if line.endswith("\n")}  # noqa: SIM115 - as above
    with psycopg.connect("", autocommit=True) as session:
        there = {row[0] for row in session.execute(f"SELECT number FROM {TABLE} WHERE who = %s", (who,))}  # noqa: S608
    return {"missing_rows": len(told - there)}


if __name__ == "__main__":
    print(json.dumps({"watch": watch, "recount": recount, "missing": missing}[sys.argv[1]](*sys.argv[2:])))  # noqa: T201
