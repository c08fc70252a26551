"""The real command as a process of its own: its lines are waited for, never guessed."""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_SECONDS = 40.0


class Process:
    """A running `gateway` command; `seen` are the lines that it has written so far, to stdout and stderr."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        assert popen.stdout is not None
        self.popen = popen
        self.seen: list[str] = []
        self._pipe = popen.stdout
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)

    def line_with(self, pattern: str, seconds: float = DEADLINE_SECONDS) -> re.Match[str]:
        """The first line not looked at yet that matches; fails when none comes in time or the process ends."""
        deadline = time.monotonic() + seconds
        while (line := self._next_line(deadline)) is not None:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"no line with {pattern!r} in: {self.seen}")

    def end(self, seconds: float = DEADLINE_SECONDS) -> int:
        """The exit status, after reading all that is left."""
        deadline = time.monotonic() + seconds
        while self._next_line(deadline) is not None:
            pass
        return self.popen.wait(max(0.0, deadline - time.monotonic()))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def close(self) -> None:
        """End it whatever it is doing."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self._selector.close()
        self._pipe.close()

    def _next_line(self, deadline: float) -> str | None:
        """The next line, or None at the end of the output."""
        while b"\n" not in self._rest:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"nothing more was written in time after: {self.seen}")
            part = os.read(self._pipe.fileno(), 65_536)
            if not part:
                return None
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        self.seen.append(line.decode())
        return self.seen[-1]


@contextmanager
def gateway(*arguments: str, folder: Path, environment: dict[str, str] | None = None) -> Iterator[Process]:
    """Run `python -m gateway` with these arguments in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("GATEWAY_")}
    popen = subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(Path(__file__).parents[2])} | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    process = Process(popen)
    try:
        yield process
    finally:
        process.close()
