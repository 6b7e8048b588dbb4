"""Whether a PostgreSQL answers, asked without a password."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from blocks.answering import SSL_REQUEST, answers_within, is_answering, wait_for_silence

HOST = "127.0.0.1"


class Postmaster:
    """Answers the first message of the protocol as PostgreSQL does, until it falls silent or is closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.is_frozen, self.answers_after_seconds, self.breaks_off = False, 0.0, 0
        self.asked: list[bytes] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            if self.breaks_off:
                self.breaks_off -= 1
                connection.close()
            elif not self.is_frozen:
                self.asked.append(connection.recv(8))
                time.sleep(self.answers_after_seconds)
                connection.sendall(b"S")

    def close(self) -> None:
        """Nobody listens any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def postmaster() -> Iterator[Postmaster]:
    """One that answers."""
    found = Postmaster()
    yield found
    if found._listener.fileno() >= 0:
        found.close()


def test_one_that_answers_is_asked_for_tls(postmaster: Postmaster) -> None:
    """One message, one byte, no session."""
    assert is_answering(HOST, postmaster.port, 5)
    assert postmaster.asked == [SSL_REQUEST]


def test_one_that_is_gone_or_frozen_does_not_answer(postmaster: Postmaster) -> None:
    """A frozen one still accepts connections: the kernel does that for it."""
    postmaster.is_frozen = True
    assert not is_answering(HOST, postmaster.port, 0.05)
    postmaster.close()
    assert not is_answering(HOST, postmaster.port, 0.05)


def test_one_that_is_slow_or_breaks_off_is_asked_again(postmaster: Postmaster) -> None:
    """A busy machine is no dead one: 1.1 s for the byte, or two looks that end early, are an answer within 2 s."""
    postmaster.answers_after_seconds = 1.1
    assert answers_within(HOST, postmaster.port, 2)
    postmaster.answers_after_seconds, postmaster.breaks_off = 0, 2
    assert answers_within(HOST, postmaster.port, 2)
    postmaster.is_frozen = True
    assert not answers_within(HOST, postmaster.port, 0.05)
    postmaster.close()
    began_at = time.monotonic()
    assert not answers_within(HOST, postmaster.port, 0.2)
    assert time.monotonic() - began_at >= 0.2


def test_silence_is_waited_for_and_every_answer_begins_it_anew(postmaster: Postmaster) -> None:
    """It returns only once nobody has answered for the whole time."""
    silenced_at: list[float] = []

    def freeze() -> None:
        silenced_at.append(time.monotonic())
        postmaster.is_frozen = True

    threading.Timer(0.3, freeze).start()
    wait_for_silence(HOST, postmaster.port, 0.1)
    assert postmaster.asked
    assert time.monotonic() - silenced_at[0] >= 0.05
