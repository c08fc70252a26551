"""What is done by the clock: late rather than not at all, soon after the start, and each thing by itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.job import Job

from admin.console.overview import throughput
from gateway import schema
from gateway.app import Gateway, build_gateway
from gateway.composition import chores
from gateway.composition.chores import FIRST_RETENTION, FIRST_SWEEP_SECONDS
from gateway.settings import Settings


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway of which nothing runs; its database is there."""
    database = {"url": f"sqlite:///{tmp_path}/gateway.db", "data_folder": str(tmp_path / "data")}
    built = build_gateway(Settings.model_validate({"database": database}))
    await schema.prepare(built.db)
    built.chores.start(paused=True)
    yield built
    built.chores.shutdown(wait=False)
    await built.db.close()


def job(gateway: Gateway, name: str) -> Job:
    (found,) = [one for one in gateway.chores.get_jobs() if one.func.__name__ == name]
    return found


async def test_what_was_missed_while_everything_stood_still_is_done_late_and_once(gateway: Gateway) -> None:
    jobs = gateway.chores.get_jobs()
    assert len(jobs) == 4
    assert {(one.misfire_grace_time, one.coalesce, one.max_instances) for one in jobs} == {(None, True, 1)}


async def test_the_hourly_ones_begin_soon_after_the_start(gateway: Gateway) -> None:
    now = datetime.now(UTC)
    sweep, retention = (job(gateway, name).next_run_time - now for name in ("keep_alive", "retention"))
    assert timedelta(0) < sweep <= timedelta(seconds=FIRST_SWEEP_SECONDS)
    assert sweep < retention <= timedelta(seconds=FIRST_RETENTION[1])


async def test_what_cannot_be_forgotten_keeps_nothing_else_from_being(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def fail(*_: Any) -> None:
        done.append("failed")
        raise ValueError("a bug")

    async def note(*_: Any) -> None:
        done.append("done")

    monkeypatch.setattr(chores, "forget_old", fail)  # the first of them
    monkeypatch.setattr(throughput, "forget_old", note)  # the last
    await job(gateway, "retention").func()
    assert done == ["failed", "done"]
