"""The product as its users run it: commands in processes of their own, spoken to over HTTP, ended by signals."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

T = TypeVar("T")
START_SECONDS = 30.0
PATIENCE_SECONDS = 40.0
LOOK_SECONDS = 0.05
ADDRESS = re.compile(r"listens on (http://[^\s;]+)")


class Command:
    """One running `python -m gateway ...`: its address and a client for it."""

    def __init__(self, process: Process, url: str, output: Path) -> None:
        self.process = process
        self.url = url
        self.output = output
        self.http = httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=30)

    @classmethod
    async def start(cls, folder: Path, *arguments: str) -> Self:
        """Run the command in `folder` and wait until it says where it listens; its log goes to a file there."""
        output = folder / f"{arguments[0]}.output"
        with output.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", *arguments, cwd=folder, stdout=PIPE, stderr=file, env={"PATH": ""}
            )
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            while line := (await process.stdout.readline()).decode():
                if found := ADDRESS.search(line):
                    return cls(process, found[1], output)
        raise AssertionError(f"{arguments[0]} ended with {await process.wait()}: {output.read_text()}")

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; its exit status."""
        await self.http.aclose()
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await self.process.wait()

    async def until(self, look: Callable[[], Awaitable[T]]) -> T:
        """The first answer of `look` that is true, asked again and again for as long as this process lives."""
        ended = asyncio.ensure_future(self.process.wait())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (answer := await look()):
                    done, _ = await asyncio.wait([ended], timeout=LOOK_SECONDS)
                    assert not done, f"it ended: {self.output.read_text()}"
                return answer
        finally:
            ended.cancel()

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self.http.get(path, params=params)
        assert answer.is_success, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST that must succeed."""
        answer = await self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()
