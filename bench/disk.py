"""How long the disk makes anybody wait who wants something kept, measured beside a benchmark.

A commit takes as long as the disk does. Where that is longer than messages are claimed ahead, lanes are late however
good the dispatcher is: so it is told what a small file of nobody's had to wait meanwhile.
"""

import os
import tempfile
import threading
import time
from types import TracebackType
from typing import Self

EVERY_SECONDS = 0.1


class DiskWatch:
    """Writes a page ten times a second, in the folder that benchmarks use, and waits until it is on disk."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        """How long each page took."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="disk watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as file:
            while not self._over.wait(EVERY_SECONDS):
                file.seek(0)
                file.write(bytes(4096))
                began_at = time.monotonic()
                os.fsync(file.fileno())
                self.seconds.append(time.monotonic() - began_at)
