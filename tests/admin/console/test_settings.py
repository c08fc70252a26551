"""Settings at the console: the delays and what they would do, how often people are written to, what the file says."""

import httpx
import pytest

from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, World, recipients

PAGE = "/console/settings"


async def delays(world: World) -> tuple[float, float]:
    """Those that hold."""
    held = (await world.admin("GET", "/api/admin/delays", status=200)).json()
    return held["MESSAGE_DELAY"], held["SENDER_SWITCH_DELAY"]


async def test_what_other_delays_would_do_is_told_and_nothing_is_changed(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await world.pair(ALICE)
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600, "SENDER_SWITCH_DELAY": 0}, status=200)
    await log_in(visitor)
    asked = {"MESSAGE_DELAY": "1800", "SENDER_SWITCH_DELAY": "0"}
    assert "Nothing is being sent now" in plain((await visitor.get(f"{PAGE}/effect", params=asked)).text)
    await world.send(name="Spring sale", recipients=recipients(11))
    text = plain((await visitor.get(f"{PAGE}/effect", params=asked)).text)
    assert "Spring sale" in text
    assert "sooner" in text
    assert "later" in plain((await visitor.get(f"{PAGE}/effect", params=asked | {"MESSAGE_DELAY": "7200"})).text)
    for wrong in ("-1", "soon", "90000", "nan"):
        answer = await visitor.get(f"{PAGE}/effect", params=asked | {"MESSAGE_DELAY": wrong})
        assert answer.status_code == 200
        assert "Seconds from 0 to 86,400" in plain(answer.text)
    assert await delays(world) == (3600, 0)


async def test_the_delays_are_set(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    typed = {"MESSAGE_DELAY": "2.5", "SENDER_SWITCH_DELAY": "7"}
    saved = await visitor.post(f"{PAGE}/delays", data=typed, headers=headers)
    assert saved.status_code == 200, saved.text
    assert await delays(world) == (2.5, 7)
    assert 'value="2.5"' in (await visitor.get(PAGE)).text


@pytest.mark.parametrize("typed", ["-1", "soon", "90000", "inf"])
async def test_delays_that_cannot_be_are_said_beside_their_field(
    world: World, visitor: httpx.AsyncClient, typed: str
) -> None:
    await log_in(visitor)
    before = await delays(world)
    said = {"MESSAGE_DELAY": "1", "SENDER_SWITCH_DELAY": typed}
    refused = await visitor.post(f"{PAGE}/delays", data=said, headers=await proof(visitor))
    assert refused.status_code == 422, refused.text
    assert 'id="error-SENDER_SWITCH_DELAY"' in refused.text
    assert await delays(world) == before


async def test_the_frequency_cap_is_set_and_taken_away(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    saved = await visitor.post(f"{PAGE}/frequency-cap", data={"messages": "3", "days": "7"}, headers=headers)
    assert "Take the limit away" in saved.text
    held = (await world.admin("GET", "/api/frequency-cap", status=200)).json()
    assert held == {"messages": 3, "days": 7}
    refused = await visitor.post(f"{PAGE}/frequency-cap", data={"messages": "", "days": "0"}, headers=headers)
    assert refused.status_code == 422
    assert 'id="error-messages"' in refused.text
    assert 'id="error-days"' in refused.text
    dropped = await visitor.post(f"{PAGE}/frequency-cap/drop", headers=headers)
    assert "Take the limit away" not in dropped.text
    held = (await world.admin("GET", "/api/frequency-cap", status=200)).json()
    assert held == {"messages": None, "days": None}


async def test_quiet_hours_are_set_and_taken_away(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    none = (await world.admin("GET", "/api/quiet-hours", status=200)).json()
    assert (none["timezone"], none["quiet_hours"], len(none["weekdays"])) == (None, None, 7)
    typed = {"quiet_from": "21:00", "quiet_to": "08:00", "timezone": "Europe/London", "weekdays": ["mon", "tue"]}
    saved = await visitor.post(f"{PAGE}/quiet-hours", data=typed, headers=headers)
    assert saved.status_code == 200, saved.text
    assert "Take them away" in saved.text
    held = (await world.admin("GET", "/api/quiet-hours", status=200)).json()
    assert held == {
        "timezone": "Europe/London",
        "quiet_hours": {"from": "21:00", "to": "08:00"},
        "weekdays": ["mon", "tue"],
    }
    assert 'value="21:00"' in (await visitor.get(PAGE)).text
    dropped = await visitor.post(f"{PAGE}/quiet-hours/drop", headers=headers)
    assert "Take them away" not in dropped.text
    assert (await world.admin("GET", "/api/quiet-hours", status=200)).json() == none


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"quiet_to": "21:00"}, "quiet_from"),
        ({"quiet_to": "25:00"}, "quiet_to"),
        ({"quiet_to": ""}, "quiet_to"),
        ({"quiet_from": ""}, "quiet_from"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": ["someday"]}, "weekdays"),
    ],
)
async def test_quiet_hours_that_cannot_be_are_said_beside_their_field(
    world: World, visitor: httpx.AsyncClient, wrong: dict[str, object], field: str
) -> None:
    await log_in(visitor)
    typed = {"quiet_from": "21:00", "quiet_to": "08:00", "timezone": "UTC", "weekdays": ["mon"]}
    refused = await visitor.post(f"{PAGE}/quiet-hours", data=typed | wrong, headers=await proof(visitor))
    assert refused.status_code == 422, refused.text
    assert f'id="error-{field}"' in refused.text
    assert (await world.admin("GET", "/api/quiet-hours", status=200)).json()["timezone"] is None


async def test_what_config_toml_has_set_is_shown_with_its_place(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    text = plain((await visitor.get(PAGE)).text)
    for word in ("UNSUBSCRIBE", "UNSTOP", "dispatch.daily_cap", "[opt_out]"):
        assert word in text


async def test_settings_are_for_operators_and_change_only_with_the_proof(
    world: World, visitor: httpx.AsyncClient
) -> None:
    before = await delays(world)
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    assert [(await visitor.get(path)).status_code for path in (PAGE, f"{PAGE}/effect")] == [403, 403]
    parts = ("delays", "frequency-cap", "frequency-cap/drop", "quiet-hours", "quiet-hours/drop")
    typed = {"MESSAGE_DELAY": "9", "SENDER_SWITCH_DELAY": "9", "messages": "1", "days": "1", "timezone": "UTC"}
    changes = [f"{PAGE}/{part}" for part in parts]
    assert [(await visitor.post(path, data=typed, headers=headers)).status_code for path in changes] == [403] * 5
    await log_in(visitor)
    assert [(await visitor.post(path, data=typed)).status_code for path in changes] == [403] * 5
    assert await delays(world) == before
