"""Peak memory of each part of a stack while something runs, proportional (PSS): shared pages count once."""

import threading
from collections import defaultdict
from types import TracebackType
from typing import Self

import psutil

from tests.stack import LocalStack

SAMPLE_SECONDS = 0.5


class MemorySampler:
    """Samples every process of the stack's parts, and Terraform's apart from the worker's, from start to end."""

    def __init__(self, stack: LocalStack) -> None:
        self._parts = stack.parts
        self._peaks: dict[str, int] = defaultdict(int)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def print(self) -> None:
        """A line for each part."""
        for part, peak in sorted(self._peaks.items()):
            print(f"peak_memory_{part}_mb={peak / 1e6:.0f}")  # noqa: T201 - a bench prints its figures

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            now: dict[str, int] = defaultdict(int)
            for name, part in self._parts.items():
                for process in _tree(part.pid):
                    _add(now, name, process)
            for name, size in now.items():
                self._peaks[name] = max(self._peaks[name], size)


def _tree(pid: int | None) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid) if pid else None
        return [root, *root.children(recursive=True)] if root else []
    except psutil.NoSuchProcess:
        return []


def _add(sizes: dict[str, int], part: str, process: psutil.Process) -> None:
    try:
        is_terraform = process.name().startswith("terraform")
        sizes["terraform" if is_terraform else part] += process.memory_full_info().pss
    except psutil.Error:
        return
