"""`gateway send` against a gateway with a simulated WAHA, both real servers."""

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli.api import Api
from gateway.demo.plan import QUICK
from gateway.demo.stage import Stage, open_stage
from tests.cli.conftest import Run

ADA, BOB = "+447700900001", "+447700900002"
DEADLINE_SECONDS = 60.0


@dataclass(slots=True)
class Scene:
    """A gateway where Ada and Bob are connected, and the two APIs."""

    stage: Stage
    gateway: Api
    simulator: Api
    run: Run
    folder: Path

    async def send(self, *arguments: str) -> Any:
        """Run the command in a thread, as a shell beside the gateway."""
        return await asyncio.to_thread(self.run, "send", "--url", self.stage.gateway_url, *arguments)

    async def accepted(self) -> list[tuple[str, str]]:
        """What WhatsApp took: number and text."""
        ledger = await self.simulator.get("/sim/ledger")
        return [(one["chat_id"].partition("@")[0], one["text"]) for one in ledger["transmissions"]]


@pytest.fixture
async def scene(run: Run, folder: Path) -> AsyncIterator[Scene]:
    """Everything that a sender needs, and a contact list of three with two bad rows."""
    (folder / "list.csv").write_text(
        "name;phone;city\nAda;+33639980001;Lyon\n;;\nBo;+33639980002;\nCy;hello;\nDi;+33639980003;Nice\n"
    )
    (folder / "stage").mkdir()
    async with open_stage(folder / "stage", QUICK) as stage:
        token = stage.admin_token_file.read_text()
        async with Api(stage.gateway_url, {"X-Admin-Token": token}) as gateway, Api(stage.simulator_url) as simulator:
            await asyncio.gather(*(_connect(gateway, simulator, number) for number in (ADA, BOB)))
            await gateway.post("/api/admin/delays", {"MESSAGE_DELAY": 0, "SENDER_SWITCH_DELAY": 0})
            yield Scene(stage, gateway, simulator, run, folder)


async def _connect(gateway: Api, simulator: Api, number: str) -> None:
    await gateway.post("/api/sessions", {"phone_number": number})
    async with asyncio.timeout(DEADLINE_SECONDS):
        while "qr_code" not in await gateway.get(f"/api/sessions/{number}/qr"):  # answers when there is news
            continue
        digits = number.removeprefix("+")
        await simulator.post(f"/sim/sessions/{digits}/scan", {"phone": digits})
        while (await gateway.get(f"/api/sessions/{number}"))["status"] != "CONNECTED":
            continue


async def test_a_contact_list_goes_out_through_a_pool_with_its_columns_as_variables(scene: Scene) -> None:
    ended = await scene.send(
        *("--sender", ADA, "--sender", BOB, "--recipients", "list.csv", "--yes"),
        *("--template", "Hi {{name}} from {{ city | nowhere }}, {{shop}}", "--variables", "shop=the=shop"),
    )

    assert (ended.status, ended.err) == (0, "")
    assert sorted(await scene.accepted()) == [
        ("33639980001", "Hi Ada from Lyon, the=shop"),
        ("33639980002", "Hi Bo from nowhere, the=shop"),
        ("33639980003", "Hi Di from Nice, the=shop"),
    ]
    assert "5 rows: 3 unique numbers, 1 not numbers, 1 blank" in ended.out
    assert "the row is empty: line 3" in ended.out
    assert "there are letters in it: line 5" in ended.out
    assert "+44 7700 900001 sends 2" in ended.out
    assert "+33 6 39 98 00 01  Hi Ada from Lyon, the=shop" in ended.out
    assert ended.out.endswith("3 of 3 sent\n")


async def test_one_idempotency_key_never_sends_twice(scene: Scene) -> None:
    arguments = ("--sender", ADA, "--recipients", "list.csv", "--template", "Hi", "--yes", "--idempotency-key", "k")
    first = await scene.send(*arguments)
    second = await scene.send(*arguments)

    assert (first.status, second.status) == (0, 0)
    assert len(await scene.accepted()) == 3


async def test_a_start_ahead_is_told_and_not_waited_for(scene: Scene) -> None:
    start = (datetime.now().astimezone() + timedelta(days=2)).replace(second=0, microsecond=0)
    ended = await scene.send(
        *("--sender", ADA, "--recipients", "list.csv", "--template", "Hi", "--yes"),
        *("--start-at", start.strftime("%Y-%m-%d %H:%M"), "--expires-at", (start + timedelta(days=1)).isoformat()),
    )

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith(f"begins {start:%d %b %H:%M}\n")
    [campaign] = (await scene.gateway.get("/api/campaigns"))["items"]
    assert datetime.fromisoformat(campaign["start_at"]) == start
    assert datetime.fromisoformat(campaign["expires_at"]) == start + timedelta(days=1)
    assert await scene.accepted() == []


async def test_nothing_is_sent_before_the_question_is_answered_with_yes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda _: False)
    ended = await scene.send("--sender", ADA, "--recipients", "list.csv", "--template", "Hi")

    assert ended.status == 1
    assert ended.out.endswith("Nothing was sent\n")
    assert await scene.accepted() == []


async def test_a_variable_that_is_missing_names_the_lines_of_the_file(scene: Scene) -> None:
    ended = await scene.send("--sender", ADA, "--recipients", "list.csv", "--template", "Hi {{city}}", "--yes")

    assert ended.status == 1
    assert ended.failure.startswith("gateway: no value for city in line 4: give a fallback")
    assert await scene.accepted() == []


async def test_a_sender_that_is_not_connected_is_one_line(scene: Scene) -> None:
    ended = await scene.send("--sender", "+447700900009", "--recipients", "list.csv", "--template", "Hi", "--yes")

    assert ended.status == 1
    assert "+44 7700 900009 is not connected" in ended.out
    assert ended.failure.startswith("gateway: +447700900009: the session is not connected")


async def test_recipients_that_were_not_reached_are_named_and_the_status_is_1(scene: Scene) -> None:
    numbers = await scene.simulator.get("/sim/numbers")
    assert numbers["unregistered"] == []
    async with asyncio.timeout(DEADLINE_SECONDS):
        await _put(scene.stage.simulator_url, "/sim/numbers", {"unregistered": ["33639980002"]})
    ended = await scene.send("--sender", ADA, "--recipients", "list.csv", "--template", "Hi", "--yes")

    assert ended.status == 1
    assert "2 of 3 sent, 1 " in ended.out


async def _put(base_url: str, path: str, body: Any) -> None:
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
        (await client.put(path, json=body)).raise_for_status()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C alone there")
async def test_ctrl_c_pauses_the_campaign_and_resume_finishes_it(scene: Scene) -> None:
    await scene.gateway.post("/api/admin/delays", {"MESSAGE_DELAY": 60_000})
    arguments = ("--sender", ADA, "--recipients", "list.csv", "--template", "Hi", "--yes")
    async with shell(scene, *arguments) as process:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (line := (await process.stdout.readline()).decode()).startswith("1 of 3"):
                assert line, "it ended before the first message"
            process.send_signal(signal.SIGINT)
            rest = (await process.stdout.read()).decode()
            status = await process.wait()

    paused = re.search(r"Paused at 1 of 3; go on with: gateway send --resume (\S+)", rest)
    assert paused, rest
    assert status == 130
    assert (await scene.gateway.get(f"/api/status/{paused[1]}"))["status"] == "paused"

    await scene.gateway.post("/api/admin/delays", {"MESSAGE_DELAY": 0})
    resumed = await scene.send("--resume", paused[1])

    assert resumed.status == 0, resumed
    assert resumed.out.endswith("3 of 3 sent\n")
    assert len(await scene.accepted()) == 3


def _with_ctrl_c() -> None:
    """As at a terminal; tests that a shell runs in the background have it switched off, and hand that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.asynccontextmanager
async def shell(scene: Scene, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "send", "--url", scene.stage.gateway_url, *arguments),
        cwd=scene.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=_with_ctrl_c,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("arguments", "failure"),
    [
        ((), "say who sends to whom"),
        (("--sender", ADA), "say who sends to whom"),
        (("--sender", ADA, "--recipients", "none.csv"), "none.csv: cannot be read"),
        (("--sender", ADA, "--recipients", "empty.csv"), "empty.csv: there is nobody in it"),
        (("--sender", ADA, "--recipients", "one.csv", "--variables", "shop"), "--variables shop: write it as"),
        (("--sender", ADA, "--recipients", "one.csv", "--template", "{{"), "the template: "),
    ],
)
def test_what_cannot_be_sent_is_one_line(run: Run, folder: Path, arguments: tuple[str, ...], failure: str) -> None:
    (folder / "empty.csv").write_text("phone\n,\n")
    (folder / "one.csv").write_text("phone\n+33639980001\n")

    ended = run("send", *arguments)

    assert ended.status == 1
    assert ended.failure.startswith(f"gateway: {failure}")


def test_without_a_gateway_the_line_says_how_to_start_one(run: Run, folder: Path) -> None:
    (folder / "one.csv").write_text("phone\n+33639980001\n")
    arguments = ("--sender", ADA, "--recipients", "one.csv", "--template", "Hi", "--yes")

    ended = run("send", "--url", "http://127.0.0.1:1", *arguments)

    assert ended.status == 1
    assert ended.failure.endswith("start one with: gateway serve")
