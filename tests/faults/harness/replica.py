"""One replica of the gateway in a process of its own: started, stopped, frozen and killed by its id."""

import asyncio
import contextlib
import os
import re
import signal
import time
from pathlib import Path
from typing import Any, Self

import httpx

from tests.faults.harness.runner import Order, Preparation, nursery, run
from tests.faults.harness.waiting import until

ADDRESS = re.compile(r"listens on (http://[^\s;]+)")
START_SECONDS = 30.0


class Replica:
    """A running `gateway serve` with a client for its API."""

    def __init__(self, order: Order) -> None:
        self.name = order.name
        self.output = order.output
        self._told = order.output.stat().st_size if order.output.exists() else 0
        self.started_at = time.time()
        self._process = nursery().Process(target=run, args=(order,), daemon=True, name=order.name)
        self._process.start()
        self._ended = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._process.sentinel, self._note_end)
        self.http = httpx.AsyncClient(trust_env=False, verify=False, timeout=30)

    @classmethod
    def launch(cls, name: str, folder: Path, config: Path, preparations: tuple[Preparation, ...] = ()) -> Self:
        """Start one, without waiting for it."""
        return cls(Order(name, folder, config, folder / f"{name}.output", preparations))

    async def listening(self) -> None:
        """Wait until it says where it listens."""

        def told() -> bool:
            assert not self._ended.done(), f"{self.name} ended with {self._ended.result()}: {self.output.read_text()}"
            return self._look_for_address()

        await until(told, START_SECONDS)

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        if not self._ended.done():
            self._ended.set_result(self._process.exitcode)

    # --- life ---------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Its process id."""
        pid: int = self._process.pid
        return pid

    @property
    def listens(self) -> bool:
        """Whether it has said where."""
        return bool(self.url) or self._look_for_address()

    def _look_for_address(self) -> bool:
        text = self.output.read_bytes()[self._told :].decode(errors="replace") if self.output.exists() else ""
        found = ADDRESS.search(text)
        if found is not None:
            self.http.base_url = httpx.URL(found[1])
        return found is not None

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.http.base_url).rstrip("/")

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.done()

    def tell(self, how: signal.Signals) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):  # it has died by itself, and we are about to hear of it
            if self.alive:
                os.kill(self.pid, how)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; its exit status (that of a signal is negative)."""
        self.tell(how)
        if how is signal.SIGKILL:
            self.tell(signal.SIGCONT)
        return await self.ended()

    async def destroy(self) -> None:
        """End it whatever state it is in: for the end of a test."""
        await self.end(signal.SIGKILL)

    async def ended(self) -> int:
        """Wait until it has ended; its exit status."""
        await self.http.aclose()
        status: int = await asyncio.shield(self._ended)
        return status

    # --- calling ------------------------------------------------------------------------------------------------

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self.http.get(path, params=params)
        assert answer.is_success, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a POST that must succeed."""
        answer = await self.http.post(path, json=body, **options)
        assert answer.is_success, answer.text
        return answer.json()
