"""Links to a pairing: who signs them, what they open, and when they end."""

import dataclasses

import pytest

from gateway.db import Database, read_now
from gateway.vault import Vault
from sessions.pairing.page.links import Link, LinkOver, LinkRefused, PairLinks
from sessions.queries import sender
from tests.sessions.pairing.world import ALICE, BERT, PairingWorld

pytestmark = pytest.mark.virtual_time

LOCAL = "local"


@pytest.fixture
async def links(world: PairingWorld) -> PairLinks:
    """The links of a gateway where Alice and Bert have sessions."""
    await world.api.create()
    await world.api.call("POST", "/api/sessions", {"phone_number": f"+{BERT}"}, status=201)
    return world.api.gateway.pair_links


async def test_a_link_opens_its_number_as_the_owner_would(links: PairLinks) -> None:
    caller = await links.check(await links.make(ALICE, LOCAL))
    assert (caller.number, caller.account_id) == (ALICE, LOCAL)
    assert not caller.is_admin
    assert not caller.may_use(BERT)


async def test_a_link_ends_at_its_very_second(world: PairingWorld, links: PairLinks) -> None:
    link = await links.make(ALICE, LOCAL, hours=0.01)
    await world.clock.sleep(int(link.expires) - world.clock.now() - 0.5)
    await links.check(link)
    await world.clock.sleep(0.5)
    with pytest.raises(LinkOver):
        await links.check(link)


async def test_a_link_holds_as_long_as_the_settings_say(world: PairingWorld, links: PairLinks) -> None:
    assert world.settings.sessions.pair_link_hours == 24
    link = await links.make(ALICE, LOCAL)
    assert int(link.expires) == int(world.clock.now() + 86_400)


@pytest.mark.parametrize(
    "change",
    [
        {"number": BERT},
        {"expires": "99999999999"},
        {"signature": ""},
        {"signature": "é"},
        {"expires": ""},
        {"expires": "-1"},
        {"expires": "٣"},
        {"number": f"+{ALICE}"},
        {"number": "nobody"},
        {"number": "447700900099"},
    ],
)
async def test_a_link_that_was_changed_is_refused(links: PairLinks, change: dict[str, str]) -> None:
    link = await links.make(ALICE, LOCAL)
    with pytest.raises(LinkRefused):
        await links.check(dataclasses.replace(link, **change))


async def test_every_character_of_the_signature_counts(links: PairLinks) -> None:
    link = await links.make(ALICE, LOCAL)
    for at, character in enumerate(link.signature):
        other = "A" if character != "A" else "B"
        forged = link.signature[:at] + other + link.signature[at + 1 :]
        with pytest.raises(LinkRefused):
            await links.check(dataclasses.replace(link, signature=forged))


async def test_an_expired_link_with_a_foreign_signature_is_not_told_to_have_expired(links: PairLinks) -> None:
    with pytest.raises(LinkRefused):
        await links.check(Link(ALICE, "1", "A" * 43))


async def test_a_number_that_goes_to_another_account_takes_no_link_along(world: PairingWorld, links: PairLinks) -> None:
    link = await links.make(ALICE, LOCAL)
    await world.api.gateway.identity.users.create("owner@example.com", "secure_password", "acme")
    async with world.api.gateway.db.write() as tx:
        await tx.execute(sender.update().where(sender.c.number == ALICE).values(account_id="acme"))
    with pytest.raises(LinkRefused):
        await links.check(link)


async def test_replicas_with_one_key_file_take_each_others_links_and_others_do_not(
    world: PairingWorld, links: PairLinks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    db: Database = world.api.gateway.db
    link = await links.make(ALICE, LOCAL)
    same_key = PairLinks(db, Vault(world.settings.database.data_folder), hours=1)
    assert (await same_key.check(link)).number == ALICE
    other_key = PairLinks(db, Vault(tmp_path_factory.mktemp("other")), hours=1)
    with pytest.raises(LinkRefused):
        await other_key.check(link)


async def test_the_databases_clock_decides(world: PairingWorld, links: PairLinks) -> None:
    async with world.api.gateway.db.read() as connection:
        now = await read_now(connection)
    assert int((await links.make(ALICE, LOCAL, hours=1)).expires) == int(now + 3600)
