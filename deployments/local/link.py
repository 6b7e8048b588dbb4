"""A relay between TCP ports of this machine: the gateway of a database pair, and the network between its two servers.

`python -m deployments.local.link FILE`: the file is what it does (blocks/relay.py has its words) and what it finds
again when it is started anew. Standard library alone, so that it is small and starts at once.
"""

import asyncio
import json
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 16
#: Chunks on their way in one direction: 16 MiB, more than a delay of 250 ms needs.
CHUNKS = 256


class Relay:
    """`state` has a blocks.relay.RelayState's fields; every change of it is in the file before it is answered."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state: dict[str, Any] = json.loads(file.read_text())
        self._passes = asyncio.Event()
        self._open: dict[asyncio.StreamWriter, str] = {}
        if not self._state["is_cut"]:
            self._passes.set()

    async def serve(self) -> None:
        """Until it is ended."""
        control = Path(self._state["control"])
        control.unlink(missing_ok=True)
        host = self._state["host"]
        for name, route in self._state["routes"].items():
            await asyncio.start_server(partial(self._relay, name), host, route["listen"], backlog=512)
        server = await asyncio.start_unix_server(self._answer, control)
        control.chmod(0o600)
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            question = json.loads(await reader.readline())
            getattr(self, f"_do_{question.pop('do')}")(**question)
            writer.write(json.dumps(self._state).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _do_read(self) -> None:
        pass

    def _do_switch(self, route: str, target: int | None) -> None:
        self._state["routes"][route]["target"] = target
        self._write()
        for writer in [writer for writer, name in self._open.items() if name == route]:
            writer.transport.abort()

    def _do_delay(self, delay_ms: int) -> None:
        self._state["delay_ms"] = delay_ms
        self._write()

    def _do_cut(self) -> None:
        self._state["is_cut"] = True
        self._write()
        self._passes.clear()

    def _do_mend(self) -> None:
        self._state["is_cut"] = False
        self._write()
        self._passes.set()

    def _write(self) -> None:
        new = self._file.with_name(f"{self._file.name}.new")
        new.write_text(json.dumps(self._state, indent=2) + "\n")
        new.replace(self._file)

    @property
    def _delay_seconds(self) -> float:
        return float(self._state["delay_ms"]) / 1000

    async def _relay(self, route: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = route
        far: asyncio.StreamWriter | None = None
        try:
            await self._passes.wait()
            await asyncio.sleep(2 * self._delay_seconds)  # the handshake goes there and back
            target = self._state["routes"][route]["target"]
            if target is not None and not writer.transport.is_closing():
                far_reader, far = await asyncio.open_connection(self._state["host"], target)
                self._open[far] = route
                _send_at_once(writer, far)
                await _first(self._pass_on(reader, far), self._pass_on(far_reader, writer))
        except OSError:
            pass
        finally:
            for end in filter(None, (writer, far)):
                self._open.pop(end, None)
                end.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each chunk leaves one delay after it came; the order stays."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS)
        clock = asyncio.get_running_loop().time

        async def receive() -> None:
            with suppress(OSError):
                while data := await reader.read(CHUNK_BYTES):
                    await chunks.put((clock() + self._delay_seconds, data))
            await chunks.put((clock() + self._delay_seconds, b""))

        receiving = asyncio.create_task(receive())
        try:
            while True:
                due, data = await chunks.get()
                if (wait := due - clock()) > 0:
                    await asyncio.sleep(wait)
                await self._passes.wait()
                if not data:
                    return
                writer.write(data)
                await writer.drain()
        finally:
            receiving.cancel()


async def _first(*ways: Any) -> None:
    """Both directions until one of them ends: PostgreSQL knows no half of a connection."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _send_at_once(*writers: asyncio.StreamWriter) -> None:
    """Without TCP_NODELAY a small packet waits for the answer to the one before: 40 ms that are not the network's."""
    for writer in writers:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def main() -> None:
    """The relay that the file describes."""
    os.umask(0o077)
    asyncio.run(Relay(Path(sys.argv[1])).serve())


if __name__ == "__main__":
    main()
