"""The main job, played through the gateway's public HTTP API, as anybody would: pair, set delays, send, watch, check.

The simulator is asked for two things that only a phone and WhatsApp could do: scan a code, and tell what arrived.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.cli.api import Api
from gateway.cli.failures import CommandFailed
from gateway.cli.numbers import spaced
from gateway.demo.audit import Audit, audit
from gateway.demo.plan import Plan
from gateway.demo.qr import read_png
from gateway.demo.show import Show
from gateway.demo.views import SenderView, Snapshot

SHOWN_SECONDS = 0.8  # how long a code stays, so that it can be looked at
LOOK_SECONDS = 0.1
PAIRING_SECONDS = 30.0
STALLED_SECONDS = 60.0
RECEIPTS_SECONDS = 6.0
OPEN_STATES = ("scheduled", "queued", "running", "paused")


class Script:
    """One run: `gateway` and `simulator` are the two APIs, `show` is whoever watches."""

    def __init__(self, plan: Plan, gateway: Api, simulator: Api, show: Show) -> None:
        self._plan = plan
        self._gateway = gateway
        self._simulator = simulator
        self._show = show
        self.campaign_id = ""

    async def play(self) -> Audit:
        """Everything in order; the verdict of the simulator's ledger.

        Raises:
            CommandFailed: it could not be played to its end; the message says what stood still.
        """
        await self._pair()
        await self._submit()
        await self._watch()
        await self._await_receipts()
        return await self._check()

    # --- act one ------------------------------------------------------------------------------------------------

    async def _pair(self) -> None:
        senders = self._plan.senders
        self._show.heading(f"Pair {len(senders)} {'number' if len(senders) == 1 else 'numbers'}")
        for number in senders:
            await self._gateway.post("/api/sessions", {"phone_number": number})
        for place, number in enumerate(senders, 1):
            async with _no_longer_than(PAIRING_SECONDS, f"{spaced(number)} was not connected"):
                await self._pair_one(number, f"{place} of {len(senders)}")

    async def _pair_one(self, number: str, place: str) -> None:
        code = await self._current_code(number)
        began = time.monotonic()
        with self._show.pairing(number, place, read_png(code)):
            if self._show.in_terminal:
                await asyncio.sleep(SHOWN_SECONDS)
            digits = number.removeprefix("+")
            await self._simulator.post(f"/sim/sessions/{digits}/scan", {"phone": digits})
            await self._connected(number)
        seconds = time.monotonic() - began
        self._show.line(
            f"{spaced(number)} scanned its code and is connected ({seconds:.1f} s)", style="green", mark="✓"
        )

    async def _connected(self, number: str) -> None:
        while True:
            session = await self._gateway.get(f"/api/sessions/{number}")
            if session["status"] == "CONNECTED":
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _current_code(self, number: str) -> str:
        while True:
            answer = await self._gateway.get(f"/api/sessions/{number}/qr")
            if "qr_code" in answer:
                return str(answer["qr_code"])
            await asyncio.sleep(LOOK_SECONDS)

    # --- act two ------------------------------------------------------------------------------------------------

    async def _submit(self) -> None:
        plan = self._plan
        people = len(plan.contacts.people)
        through = "one sender" if len(plan.senders) == 1 else f"{len(plan.senders)} senders, in turn"
        self._show.heading(f"Send one text to {people:,} recipients through {through}")
        delays = {"MESSAGE_DELAY": plan.pace.message_delay, "SENDER_SWITCH_DELAY": plan.pace.switch_delay}
        await self._gateway.post("/api/admin/delays", delays)
        told = " · ".join(f"{name} {seconds:g} s" for name, seconds in delays.items())
        self._show.line(plan.template, style="italic")
        self._show.line(told, style="dim")
        answer = await self._gateway.post(
            "/api/send",
            {
                "name": "Demo",
                "sender_number": plan.senders[0],
                "sender_numbers": plan.senders[1:],
                "template": plan.template,
                "recipients": plan.contacts.body(),
            },
            headers={"Idempotency-Key": "demo"},
        )
        self.campaign_id = str(answer["campaign_id"])

    async def _watch(self) -> None:
        began = moved = time.monotonic()
        done = -1
        with self._show.live():
            while True:
                snapshot = await self._snapshot(began)
                self._show.sending(snapshot)
                if snapshot.counts["status"] not in OPEN_STATES:
                    return
                now = time.monotonic()
                if snapshot.done > done:
                    done, moved = snapshot.done, now
                elif now - moved > STALLED_SECONDS:
                    raise CommandFailed(f"the campaign stands still: {snapshot.counts['waiting']}")
                await asyncio.sleep(LOOK_SECONDS)

    async def _snapshot(self, began: float) -> Snapshot:
        """The campaign, and each sender with its latest message."""
        pool = len(self._plan.senders)
        path = f"/api/status/{self.campaign_id}"
        counts = await self._gateway.get(path)
        around = max(0, counts["sent"] - 2 * pool)
        page = await self._gateway.get(path, {"details": True, "skip": around, "limit": 3 * pool})
        latest = {item["sender_number"]: item for item in page["messages"]["items"] if item["sent_at"]}
        users = (await self._gateway.get("/api/admin/users", {"limit": pool}))["items"]
        return Snapshot(counts, time.monotonic() - began, [_sender(user, latest) for user in users])

    # --- act three ----------------------------------------------------------------------------------------------

    async def _await_receipts(self) -> None:
        """Until every phone has told that its message was read, or a while."""
        self._show.heading("Watch it arrive")
        began = time.monotonic()
        with self._show.live():
            while True:
                snapshot = Snapshot(await self._gateway.get(f"/api/status/{self.campaign_id}"), 0.0)
                last = snapshot.counts["read"] >= snapshot.counts["sent"] or time.monotonic() - began > RECEIPTS_SECONDS
                self._show.funnel(snapshot, last=last)
                if last:
                    return
                await asyncio.sleep(LOOK_SECONDS)

    async def _check(self) -> Audit:
        """Ask the simulator what WhatsApp really took, and when."""
        self._show.heading("Check it against the simulator's ledger")
        ledger = await self._simulator.get("/sim/ledger")
        verdict = audit(
            ledger["transmissions"],
            [person.phone.digits for person in self._plan.contacts.people],
            message_delay=self._plan.pace.message_delay,
            switch_delay=self._plan.pace.switch_delay,
        )
        self._show.verdict(verdict)
        if verdict.shortest_excess is not None:
            margin = abs(verdict.shortest_excess) * 1000
            than_told = "longer than told" if verdict.shortest_excess >= 0 else "shorter than told"
            self._show.line(f"of {verdict.gaps:,} gaps the tightest was {margin:.1f} ms {than_told}", style="dim")
        return verdict


def _sender(user: dict[str, Any], latest: dict[str, dict[str, Any]]) -> SenderView:
    number = str(user["sender_number"])
    message = latest.get(number, {"recipient": "", "text": ""})
    return SenderView(number, str(user["session_status"]), user["messages_sent"], message["recipient"], message["text"])


@asynccontextmanager
async def _no_longer_than(seconds: float, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise CommandFailed(f"{what} within {seconds:g} s") from error
