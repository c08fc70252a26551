"""The benchmarks themselves, small: their judge sees every message, and no gap is shorter than told."""

import subprocess
import sys
from typing import Any

import orjson
import pytest


def run(*arguments: str) -> dict[str, Any]:
    """The figures of one run by name; it must end well."""
    command = [sys.executable, "-m", "bench", *arguments, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = orjson.loads(ended.stdout.splitlines()[-1])
    return {figure["name"]: figure["value"] for figure in found["figures"]}


def test_dispatch_counts_what_arrived_and_what_was_stored() -> None:
    figures = run("dispatch", "--messages", "200", "--senders", "10")
    assert (figures["lost"], figures["doubled"], figures["not settled as sent"]) == (0, 0, 0)
    assert figures["ratio"] > 0


def test_receipts_takes_every_event_both_ways() -> None:
    figures = run("receipts", "--messages", "60", "--senders", "5", "--connections", "8")
    assert (figures["webhooks refused"], figures["not read after the WebSocket"]) == (0, 0)
    assert figures["not read after the webhooks"] == 0
    assert figures["events by webhook"] > 0


@pytest.mark.parametrize("shape", ["lanes", "pool"])
def test_pacing_measures_gaps_at_wahas_door(shape: str) -> None:
    figures = run("pacing", "--senders", "5", "--message-delay", "0.1", "--seconds", "0.5", "--shape", shape)
    assert figures["gaps shorter than told"] == 0
    assert figures["messages missing or repeated"] == 0


def test_a_load_that_cannot_be_made_is_refused_in_words() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "dispatch", "--senders", "0"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "--senders" in ended.stderr
