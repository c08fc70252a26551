"""The comparison with Celery: what a run comes to, and that it says why it did not happen."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest

from bench import compare
from bench.celery_tasks import Places, Worker, make_results
from bench.compare import figures, judge
from bench.sink import Sent
from bench.sinks import running_sink
from bench.stage import Load, Spent

LOAD = Load(4, 2, 0.0, "pool")


def arrivals(*ids: str) -> list[Sent]:
    """Messages that came at second 10 and later."""
    return [Sent(10.0 + index, 10.0 + index, "chat", one) for index, one in enumerate(ids)]


def test_the_time_is_from_the_first_arrival_to_the_last_commit() -> None:
    outcome = judge(arrivals("a", "b", "c", "d"), [12.0, 14.0, 13.0, 11.0], LOAD, 0.4, 0.8)
    assert astuple(outcome) == pytest.approx((1.0, 100.0, 200.0, 0, 0))


def test_what_never_came_came_twice_or_was_not_committed_is_a_fault() -> None:
    outcome = judge(arrivals("a", "b", "b"), [11.0, 12.0], LOAD, 0.4, 0.8)
    assert (outcome.lost, outcome.doubled) == (4, 1)
    found = {figure.name: figure for figure in figures(LOAD, Spent(0.0, 2.0, 1.0), (0, 0), {"prefork 2": outcome})}
    assert not found["Celery lost or doubled, prefork 2"].met
    assert found["our durable messages"].value == pytest.approx(2.0)


def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(compare, "find_spec", lambda name: None if name == "celery" else object())
    told = compare.missing_parts()
    assert "celery is not installed" in told
    assert "no redis-server is found" in told
    assert "package redis" not in told


async def test_a_task_sends_its_message_and_commits_it(tmp_path: Path) -> None:
    make_results(tmp_path / "results.db")
    async with running_sink(2) as sink:
        worker = Worker(Places("", sink.url, str(tmp_path / "results.db")))
        for number in (1, 2, 2):
            worker.send("447700900000", "12025550100@c.us", "text", f"id{number}")
        worker.close()
        arrived = (await sink.record())["447700900000"]
    assert [sent.message_id for sent in arrived] == ["id1", "id2", "id2"]
    with closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        assert connection.execute("SELECT message_id FROM result ORDER BY 1").fetchall() == [("id1",), ("id2",)]


def test_the_workers_are_told_where_everything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places("redis+socket:///somewhere", "http://127.0.0.1:1", "/a/file")
    for name, value in places.environment().items():
        monkeypatch.setenv(name, value)
    assert Places.from_environment() == places
