"""Fault 13 on SQLite: two processes on one file. See also `tests/cli/test_serve.py` for what the second one says."""

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import share_the_file


async def test_a_second_process_on_one_file_is_refused_and_the_first_goes_on(
    make_stage: MakeStage, record: Record
) -> None:
    stage = await make_stage()
    first = await stage.serve()
    await stage.connect(2)
    await stage.submit(30)
    await stage.until_sent(4)
    second = await stage.launch("second")
    assert await second.ended() == 1
    assert "is in use by another gateway" in second.output.read_text()
    assert first.alive
    await stage.finish()
    verdict = await stage.judge()
    record(seed=0, **verdict.record)
    assert verdict.perfect, verdict.report()


async def test_without_the_lock_a_second_process_starts(make_stage: MakeStage) -> None:
    """The control."""
    stage = await make_stage()
    await stage.serve()
    second = await stage.serve("second", preparations=[share_the_file])
    assert second.alive
