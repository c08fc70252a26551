"""Fault 15: the database's disk is full, then has room again. What SQLite calls it: `tests/gateway/test_db.py`."""

import contextlib
import functools
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.checker import Verdict
from tests.faults.harness.failpoints import live_on_a_small_disk, take_failures_for_commits
from tests.faults.harness.runner import Preparation
from tests.faults.harness.stage import Stage
from tests.faults.harness.waiting import last, until

KILOBYTES = 16_384  # SQLite lets its journal grow to 4 MB


@pytest.fixture(scope="module", autouse=True)
def _needs_a_mount_namespace() -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("a small disk of its own needs a mount namespace, which this user may not make")


async def small_stage(make_stage: MakeStage, tmp_path: Path, *preparations: Preparation) -> tuple[Stage, Path]:
    """A gateway whose database is on a disk of 16 MB that only it has; gives that disk as it is seen from here."""
    small = tmp_path / "small"
    small.mkdir()
    stage = await make_stage()
    disk = functools.partial(live_on_a_small_disk, str(small), KILOBYTES)
    await stage.serve(database_url=f"sqlite:///{small}/gateway.db", preparations=[disk, *preparations])
    seen = Path(f"/proc/{stage.gateway.pid}/root{small}")
    await stage.connect(2)
    return stage, seen


async def judge(stage: Stage, disk: Path) -> Verdict:
    """The verdict over a copy of the database, taken while the gateway stands still: SQLite cannot follow `disk`."""
    copy = stage.folder / "copy"
    copy.mkdir()
    stage.gateway.tell(signal.SIGSTOP)
    for name in ("gateway.db", "gateway.db-wal"):
        shutil.copy(disk / name, copy)
    stage.gateway.tell(signal.SIGCONT)
    stage.read_from(f"sqlite:///{copy}/gateway.db")
    return await stage.judge()


async def all_over(stage: Stage) -> bool:
    """Whether all campaigns have ended, by the API."""
    answers = [await stage.gateway.get(f"/api/status/{told.campaign_id}") for told in stage.submitted]
    return all(answer["end_time"] for answer in answers)


def fill(disk: Path) -> Path:
    """Write until there is no room; gives the file that took it."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


async def run_full(stage: Stage, disk: Path) -> tuple[list[int], list[float], float]:
    """Fill the disk while a campaign is sent, submit more, make room, and finish.

    Gives what the submissions were answered with, the sends that began a second after the disk was full, and the
    seconds from when there was room to when every lane had sent again.
    """
    await stage.submit(60)
    await stage.until_sent(6)
    filler = fill(disk)
    full_at = time.time()
    statuses = [(await stage.try_to_submit(20)).status_code for _ in range(3)]
    await last(2.0)
    freed_at = time.time()
    filler.unlink()
    late = [at for at, _ in stage.starts if full_at + 1.0 < at < freed_at]
    await until(lambda: len(stage.first_sends(freed_at)) == len(stage.senders))
    recovery = max(stage.first_sends(freed_at).values())
    statuses.append((await stage.try_to_submit(20)).status_code)
    await until(functools.partial(all_over, stage), every=0.1)
    return statuses, late, recovery


async def test_a_full_disk_is_told_nothing_is_sent_unstored_and_it_goes_on_when_there_is_room(
    make_stage: MakeStage, record: Record, tmp_path: Path
) -> None:
    stage, disk = await small_stage(make_stage, tmp_path)
    statuses, late, recovery = await run_full(stage, disk)
    verdict = await judge(stage, disk)
    record(statuses=statuses, late=len(late), recovery=recovery, **verdict.record)
    assert set(statuses[:3]) <= {503, 507}
    assert statuses[3] == 201
    assert late == []
    assert verdict.perfect, verdict.report()


async def test_if_failed_commits_were_believed_campaigns_would_be_accepted_and_not_stored(
    make_stage: MakeStage, tmp_path: Path
) -> None:
    """The control."""
    stage, disk = await small_stage(make_stage, tmp_path, take_failures_for_commits)
    filler = fill(disk)
    statuses = [(await stage.try_to_submit(20)).status_code for _ in range(3)]
    filler.unlink()
    assert 201 in statuses
    assert (await judge(stage, disk)).lost
