"""Commands of the product in processes of their own: started, spoken to over HTTP, frozen, and ended by signals."""

import asyncio
import os
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

T = TypeVar("T")
START_SECONDS = 60.0
LOOK_SECONDS = 0.05
_ADDRESS = re.compile(r"listens on (http://[^\s;]+)")
_PROC = Path("/proc")
_NOT_INHERITED = ("GATEWAY_", "WAHA_", "PYTHONDONTWRITEBYTECODE")
"""Settings of whoever runs the benchmark; and our modules are compiled once, as an installed package has them."""


class ProcessFailed(Exception):
    """A process did not do what it was started for; the message has what it said last."""


class Command:
    """One running `python -m gateway ...`. `spawned_at` and `listening_at` are epoch seconds."""

    def __init__(self, process: Process, url: str, output: Path, spawned_at: float) -> None:
        self.process = process
        self.url = url
        self.spawned_at = spawned_at
        self.listening_at = time.time()
        self.http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=120)
        self._output = output

    @classmethod
    async def start(cls, folder: Path, *arguments: str) -> Self:
        """Run the command in `folder` and wait until it says where it listens; what it logs goes to a file there.

        Raises:
            ProcessFailed: it ended before.
        """
        output = folder / f"{arguments[0]}.output"
        spawned_at = time.time()
        process = await _spawn(folder, output, *arguments)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                while line := (await process.stdout.readline()).decode():
                    if found := _ADDRESS.search(line):
                        return cls(process, found[1], output, spawned_at)
        except BaseException:
            await _kill(process)
            raise
        raise ProcessFailed(f"{arguments[0]} ended with {await process.wait()}: {_tail(output)}")

    async def kill(self) -> float:
        """SIGKILL; the epoch seconds at which it was sent."""
        sent_at = time.time()
        await _kill(self.process)
        await self.http.aclose()
        return sent_at

    async def end(self) -> None:
        """End it in order, if it still runs."""
        await self.http.aclose()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await self.process.wait()

    def freeze(self) -> float:
        """SIGSTOP; the epoch seconds at which it was sent."""
        sent_at = time.time()
        self.process.send_signal(signal.SIGSTOP)
        return sent_at

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        return self._json(await self.http.get(path, params=params))

    async def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST that must succeed."""
        return self._json(await self.http.post(path, json=body))

    def _json(self, answer: httpx.Response) -> Any:
        if not answer.is_success:
            raise ProcessFailed(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json()


async def run_command(folder: Path, *arguments: str) -> None:
    """Run a command that ends by itself.

    Raises:
        ProcessFailed: it failed.
    """
    output = folder / f"{arguments[0]}.output"
    process = await _spawn(folder, output, *arguments)
    out, _ = await process.communicate()
    if process.returncode:
        raise ProcessFailed(f"{arguments[0]} ended with {process.returncode}: {out.decode()} {_tail(output)}")


async def until(look: Callable[[], Awaitable[T]], what: str, seconds: float, every: float = LOOK_SECONDS) -> T:
    """The first answer of `look` that is true, asked again and again, with pauses of `every` seconds.

    Raises:
        ProcessFailed: there was none within so many seconds.
    """
    give_up_at = time.monotonic() + seconds
    answer = await look()
    while not answer:
        if time.monotonic() > give_up_at:
            raise ProcessFailed(f"waited {seconds:g} s in vain: {what}")
        await asyncio.sleep(every)
        answer = await look()
    return answer


def peak_memory(pid: int) -> int:
    """The most memory that a process ever held at once, in bytes. Needs Linux."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessFailed(f"process {pid} does not tell its memory")


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and of all that it started, so far. Needs Linux."""
    used = _own_cpu_seconds(pid)
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        used += sum(cpu_seconds(int(child)) for child in children.read_text().split())
    return used


def _own_cpu_seconds(pid: int) -> float:
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")  # its own, and of ended children


async def _spawn(folder: Path, output: Path, *arguments: str) -> Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)}
    with output.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", *arguments, cwd=folder, stdout=PIPE, stderr=file, env=environment
        )


async def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _tail(output: Path) -> str:
    return output.read_text(errors="replace")[-2000:]
