"""API keys, open routes, and the server's own routes."""

import pytest

from tests.simulator.conftest import SENDER, Simulate

UNAUTHORIZED = {"message": "Unauthorized", "statusCode": 401}


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}])
@pytest.mark.parametrize("path", ["/api/sessions", "/health", "/api/server/version", "/api/sendText"])
async def test_a_missing_or_wrong_key_is_401(simulate: Simulate, headers: dict[str, str], path: str) -> None:
    waha = await simulate(api_key="right")
    answer = await waha.client.get(path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


async def test_a_key_is_taken_from_the_header_or_the_query(simulate: Simulate) -> None:
    waha = await simulate(api_key="right")
    assert (await waha.client.get("/api/sessions", headers={"X-Api-Key": "right"})).status_code == 200
    assert (await waha.client.get("/api/sessions?x-api-key=right")).status_code == 200


async def test_ping_and_sim_need_no_key(simulate: Simulate) -> None:
    waha = await simulate(api_key="right")
    assert (await waha.call("GET", "/ping")).json() == {"message": "pong"}
    assert (await waha.call("GET", "/sim/ledger")).status_code == 200


async def test_a_session_key_sees_its_own_session_only(simulate: Simulate) -> None:
    waha = await simulate(api_key="right")
    waha.client.headers["X-Api-Key"] = "right"
    await waha.create(SENDER)
    await waha.create("other")
    body = {"isAdmin": False, "session": SENDER, "isActive": True}
    key = (await waha.call("POST", "/api/keys", body)).json()["key"]
    waha.client.headers["X-Api-Key"] = key
    assert [one["name"] for one in (await waha.call("GET", "/api/sessions?all=true")).json()] == [SENDER]
    assert (await waha.call("GET", f"/api/sessions/{SENDER}")).status_code == 200
    refused = await waha.call("GET", "/api/sessions/other")
    assert (refused.status_code, refused.json()) == (403, {"message": "Forbidden", "statusCode": 403})
    assert (await waha.send(session="other")).status_code == 403
    assert (await waha.call("POST", "/api/sessions", {"name": "third"})).status_code == 403
    assert (await waha.call("GET", "/api/keys")).status_code == 403
    assert (await waha.call("GET", "/api/server/version")).status_code == 200


async def test_a_deleted_key_opens_nothing(simulate: Simulate) -> None:
    waha = await simulate(api_key="right")
    waha.client.headers["X-Api-Key"] = "right"
    made = (await waha.call("POST", "/api/keys", {"isAdmin": True, "session": None})).json()
    assert made["key"].startswith("key_")
    assert await waha.call("DELETE", f"/api/keys/{made['id']}")
    assert (await waha.call("GET", "/api/keys")).json() == []
    assert (await waha.client.get("/api/sessions", headers={"X-Api-Key": made["key"]})).status_code == 401


async def test_version_and_status_tell_what_this_server_is(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB", worker_id="waha-2")
    version = (await waha.call("GET", "/api/server/version")).json()
    assert version == (await waha.call("GET", "/api/version")).json()
    assert (version["version"], version["engine"], version["tier"]) == ("2026.7.1", "NOWEB", "CORE")
    status = (await waha.call("GET", "/api/server/status")).json()
    assert status["worker"] == {"id": "waha-2"}
    now_ms = waha.server.clock.now_ms()
    assert abs(status["startTimestamp"] + status["uptime"] - now_ms) < 10_000


async def test_health_says_ok_whatever_the_sessions_do(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "FAILED"})
    answer = await waha.call("GET", "/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/nothing/here"), ("PATCH", "/api/sessions")])
async def test_an_unknown_route_is_404_in_wahas_words(simulate: Simulate, method: str, path: str) -> None:
    waha = await simulate()
    answer = await waha.call(method, path)
    assert answer.status_code == 404
    expected = {"message": f"Cannot {method} {path}", "error": "Not Found", "statusCode": 404}
    assert answer.json() == expected
