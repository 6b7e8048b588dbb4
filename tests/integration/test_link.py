"""The relay that is the gateway and the link of a pair: what passes, when, and what is told to whom."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from blocks.postgres.relays import PROGRAM
from blocks.relay import (
    RelayState,
    Route,
    cut_relay,
    is_relay_healthy,
    mend_relay,
    read_relay,
    set_delay,
    switch_route,
)
from domain.errors import TemporaryError
from tests.polling import wait_for
from tests.stack import find_free_ports

BIG_BYTES = 5_000_000


class Echo:
    """A server that answers with what it gets, each line behind its own name."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with closing(connection), connection.makefile("rb") as lines:
            try:
                for line in lines:
                    connection.sendall(self._name + b" " + line)
            except OSError:
                return

    def close(self) -> None:
        """Listen no more: also who waits for a connection hears of it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@dataclass
class Running:
    """A relay's process and where it listens."""

    file: Path
    state: RelayState
    first: Echo
    second: Echo
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def port(self) -> int:
        """Where clients come."""
        return self.state.routes["way"].listen

    def start(self) -> None:
        """Until it answers."""
        self.process = subprocess.Popen([sys.executable, "-I", PROGRAM, self.file])
        wait_for("the relay answers", lambda: is_relay_healthy(self.state.control))

    def stop(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def connect(self) -> socket.socket:
        """A connection through it."""
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        connection.settimeout(10)
        return connection


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Running]:
    """A relay with one way, to the first of two servers."""
    first, second = Echo(b"first"), Echo(b"second")
    way = Route(listen=find_free_ports(1)[0], target=first.port)
    state = RelayState(host="127.0.0.1", control=tmp_path / "s", routes={"way": way})
    file = tmp_path / "state.json"
    file.write_text(state.model_dump_json())
    running = Running(file, state, first, second)
    running.start()
    yield running
    running.stop()
    first.close()
    second.close()


def ask(connection: socket.socket, line: bytes = b"hello\n") -> bytes:
    """A line there, and the answer; nothing where the connection is over."""
    try:
        connection.sendall(line)
        return connection.recv(1 << 16)
    except ConnectionError:
        return b""


def test_a_switch_breaks_old_connections_and_leads_new_ones(relay: Running) -> None:
    """Nobody goes on talking to the server that is no longer the one; with none, who comes is turned away."""
    with relay.connect() as old:
        assert ask(old) == b"first hello\n"
        switch_route(relay.state.control, "way", relay.second.port)
        assert ask(old) == b""
    with relay.connect() as new:
        assert ask(new) == b"second hello\n"
    switch_route(relay.state.control, "way", None)
    with relay.connect() as refused:
        assert ask(refused) == b""


def test_what_it_was_told_outlives_it(relay: Running) -> None:
    """Killed and started again it leads where it led, as late as it was, and cut as it was."""
    switch_route(relay.state.control, "way", relay.second.port)
    set_delay(relay.state.control, 30)
    cut_relay(relay.state.control)
    relay.stop()
    with pytest.raises(TemporaryError, match="does not answer"):
        read_relay(relay.state.control)
    relay.start()
    told = read_relay(relay.state.control)
    assert (told.routes["way"].target, told.delay_ms, told.is_cut) == (relay.second.port, 30, True)
    assert json.loads(relay.file.read_text())["is_cut"]
    mend_relay(relay.state.control)
    with relay.connect() as connection:
        assert ask(connection) == b"second hello\n"


def test_each_direction_is_late_by_the_delay(relay: Running) -> None:
    """An answer takes two of them at least; a long text comes whole, in order, and not one delay for each piece."""
    with relay.connect() as connection:
        assert ask(connection)
        set_delay(relay.state.control, 100)
        began = time.monotonic()
        assert ask(connection) == b"first hello\n"
        assert time.monotonic() - began >= 0.2
        text = b"".join(b"%09d\n" % number for number in range(BIG_BYTES // 10))
        threading.Thread(target=connection.sendall, args=(text,), daemon=True).start()
        answer = bytearray()
        while len(answer) < len(text) + 6 * (BIG_BYTES // 10):
            answer += connection.recv(1 << 20)
        assert answer == text.replace(b"\n", b"\nfirst ")[:-6].join([b"first ", b""])


def test_a_cut_is_silence_and_not_an_end(relay: Running) -> None:
    """Nothing passes and nothing is closed, as when a network fails; mended, what was sent meanwhile arrives."""
    with relay.connect() as connection:
        assert ask(connection)
        cut_relay(relay.state.control)
        connection.sendall(b"waits\n")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        mend_relay(relay.state.control)
        connection.settimeout(10)
        assert connection.recv(100) == b"first waits\n"


def test_a_server_that_is_gone_ends_its_connections(relay: Running) -> None:
    """Its clients hear of it at once, and the relay goes on."""
    relay.first.close()
    with relay.connect() as connection:
        assert ask(connection) == b""
    switch_route(relay.state.control, "way", relay.second.port)
    with relay.connect() as connection:
        assert ask(connection) == b"second hello\n"


def test_only_its_user_can_tell_it_something(relay: Running) -> None:
    """Its control socket has mode 0600."""
    assert relay.state.control.stat().st_mode & 0o777 == 0o600
