"""What `growth` says of its rounds, and that queues are made long as the product would have them."""

import pytest
from sqlalchemy import func, select

from bench.filling import lengthen
from bench.growth import Faults, Round, figures
from bench.stage import Load, Spent, prepared
from campaigns.sending.tables import campaign, message
from gateway.db import Database


def rounds(*milliseconds: float) -> list[Round]:
    """Rounds of a thousand messages that took so much CPU for each, and twice the time."""
    return [Round(1000, Spent(0.0, 2 * ms, ms)) for ms in milliseconds]


def test_the_ratio_is_of_the_medians() -> None:
    found = {figure.name: figure for figure in figures(rounds(1.0, 9.0, 1.0), rounds(1.3, 1.3, 0.1), [Faults(0, 0)])}
    assert found["CPU ratio"].value == pytest.approx(1.3)
    assert found["time of a message, short queue"].value == pytest.approx(2.0)
    assert not found["CPU ratio"].met
    assert found["doubled"].met


def test_faults_of_every_queue_count() -> None:
    found = {figure.name: figure for figure in figures(rounds(1.0), rounds(1.0), [Faults(1, 0), Faults(0, 2)])}
    assert (found["doubled"].value, found["sent and stored otherwise"].value) == (1, 2)
    assert not found["doubled"].met
    assert not found["sent and stored otherwise"].met


async def test_a_campaign_that_was_made_longer_is_counted_and_dealt_as_one_that_was_submitted() -> None:
    async with prepared(Load(4, 2, 0.0, "lanes"), "sqlite", queued=31) as ready:
        db = Database(ready.settings.database.url)
        async with db.read() as connection:
            seqs = (await connection.execute(select(message.c.campaign_id, message.c.seq))).all()
            counted = (await connection.execute(select(campaign.c.total, campaign.c.n_queued))).all()
        await db.close()
        assert sorted(counted) == [(15, 15), (16, 16)]
        assert len({tuple(row) for row in seqs}) == 31
        async with ready.stage() as stage:
            await stage.run()
            assert await stage.states() == {"sent": 31}
        arrived = await ready.sink.record()
        assert sorted(len(sent) for sent in arrived.values()) == [15, 16]


async def test_nothing_is_added_to_a_queue_that_is_long_enough() -> None:
    async with prepared(Load(4, 2, 0.0, "pool"), "sqlite") as ready:
        await lengthen(ready.settings.database.url, 3)
        db = Database(ready.settings.database.url)
        async with db.read() as connection:
            assert (await connection.execute(select(func.count()).select_from(message))).scalar_one() == 4
        await db.close()
