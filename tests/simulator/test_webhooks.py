"""Webhooks: who gets which event, signed how, tried how often."""

import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import orjson
import pytest

from tests.harness.virtual_time import EPOCH
from tests.simulator.conftest import FAST, Simulate, Simulated

KEY = "a secret of this test"


class Endpoint:
    """A receiver that answers what it is told and remembers what it got."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.got: list[httpx.Request] = []
        self._statuses = list(statuses)
        self._headers = headers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        return httpx.Response(self._statuses.pop(0) if self._statuses else 200, headers=self._headers)


async def hooked(simulate: Simulate, endpoint: Endpoint, **hook: Any) -> Simulated:
    """A working session whose status events go to the endpoint."""
    waha = await simulate(transport=httpx.MockTransport(endpoint))
    hook = {"url": "http://gateway.test/hook", "events": ["session.status"], **hook}
    await waha.pair(webhooks=[hook], metadata={"tenant": "a"})
    return waha


async def delivered(waha: Simulated) -> None:
    """Wait until no delivery is under way."""
    await waha.server.webhooks.drained()


async def test_a_webhook_gets_the_same_event_as_the_event_stream(simulate: Simulate) -> None:
    endpoint = Endpoint()
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6)
    await waha.create(webhooks=[{"url": "http://gateway.test/hook", "events": ["*"]}])
    streamed = await waha.watch.next("session.status", status="STARTING")
    await delivered(waha)
    [posted] = endpoint.got
    assert (posted.method, str(posted.url)) == ("POST", "http://gateway.test/hook")
    assert posted.headers["content-type"] == "application/json"
    assert orjson.loads(posted.content) == streamed


async def test_a_webhook_is_signed_over_the_raw_body(simulate: Simulate) -> None:
    endpoint = Endpoint()
    waha = await hooked(simulate, endpoint, hmac={"key": KEY})
    await delivered(waha)
    assert endpoint.got
    for request in endpoint.got:
        signature = hmac.new(KEY.encode(), request.content, hashlib.sha512).hexdigest()
        assert request.headers["x-webhook-hmac"] == signature
        assert request.headers["x-webhook-hmac-algorithm"] == "sha512"


async def test_a_webhook_without_a_key_is_not_signed(simulate: Simulate) -> None:
    endpoint = Endpoint()
    waha = await hooked(simulate, endpoint)
    await delivered(waha)
    assert "x-webhook-hmac" not in endpoint.got[0].headers


async def test_a_webhook_carries_its_times_agent_and_custom_headers(simulate: Simulate) -> None:
    endpoint = Endpoint()
    waha = await hooked(simulate, endpoint, customHeaders=[{"name": "X-Tenant", "value": "a"}])
    await delivered(waha)
    headers = endpoint.got[0].headers
    assert headers["user-agent"] == "WAHA/2026.7.1"
    assert headers["x-tenant"] == "a"
    assert headers["x-webhook-request-id"]
    assert f'"timestamp":{headers["x-webhook-timestamp"]}'.encode() in endpoint.got[0].content


async def test_only_the_wanted_events_are_posted(simulate: Simulate) -> None:
    endpoint = Endpoint()
    waha = await hooked(simulate, endpoint, events=["message.any"])
    await waha.send()
    await delivered(waha)
    assert [b'"event":"message.any"' in request.content for request in endpoint.got] == [True]


@pytest.mark.parametrize("status", [400, 401, 500, 302])
async def test_every_answer_but_2xx_is_tried_again_with_the_same_ids(simulate: Simulate, status: int) -> None:
    endpoint = Endpoint(status, status)
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6)
    await waha.create(webhooks=[{"url": "http://gateway.test/hook", "events": ["session.status"]}])
    await delivered(waha)
    assert len(endpoint.got) == 3
    assert len({request.headers["x-webhook-request-id"] for request in endpoint.got}) == 1
    assert len({request.content for request in endpoint.got}) == 1


async def test_an_endpoint_that_never_answers_well_is_tried_15_times_2_s_apart(simulate: Simulate) -> None:
    endpoint = Endpoint(*[500] * 100)
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6)
    before = waha.server.clock.elapsed()
    await waha.create(webhooks=[{"url": "http://gateway.test/hook", "events": ["session.status"]}])
    await delivered(waha)
    assert len(endpoint.got) == 15
    assert waha.server.clock.elapsed() - before >= 28


@pytest.mark.parametrize(
    ("retries", "seconds"),
    [
        ({"attempts": 4, "delaySeconds": 10, "policy": "constant"}, 30),
        ({"attempts": 4, "delaySeconds": 10, "policy": "linear"}, 60),
        ({"attempts": 4, "delaySeconds": 10, "policy": "exponential"}, 70),
    ],
)
async def test_retries_follow_the_endpoints_policy(
    simulate: Simulate, retries: dict[str, object], seconds: float
) -> None:
    endpoint = Endpoint(*[500] * 100)
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6)
    hook = {"url": "http://gateway.test/hook", "events": ["session.status"], "retries": retries}
    before = waha.server.clock.elapsed()
    await waha.create(webhooks=[hook])
    await delivered(waha)
    assert len(endpoint.got) == 4
    assert waha.server.clock.elapsed() - before >= seconds


async def test_retry_after_is_honoured(simulate: Simulate) -> None:
    endpoint = Endpoint(503, headers={"Retry-After": "90"})
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6)
    before = waha.server.clock.elapsed()
    await waha.create(webhooks=[{"url": "http://gateway.test/hook", "events": ["session.status"]}])
    await delivered(waha)
    assert waha.server.clock.elapsed() - before >= 90


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("value", "seconds"), [(format_datetime(datetime.fromtimestamp(EPOCH + 90, UTC), usegmt=True), 90), ("soon", 2)]
)
async def test_retry_after_may_be_a_date_and_nonsense_is_passed_over(
    simulate: Simulate, value: str, seconds: float
) -> None:
    endpoint = Endpoint(503, headers={"Retry-After": value})
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6)
    await waha.create(webhooks=[{"url": "http://gateway.test/hook", "events": ["session.status"]}])
    await delivered(waha)
    assert len(endpoint.got) == 2
    assert waha.server.clock.now() == pytest.approx(EPOCH + seconds, abs=0.01)


@pytest.mark.virtual_time
async def test_options_that_are_null_are_the_usual_ones(simulate: Simulate) -> None:
    endpoint = Endpoint(*[500] * 100)
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6)
    hook = {"url": "http://gateway.test/hook", "events": ["session.status"], "hmac": None, "customHeaders": None}
    await waha.create(webhooks=[{**hook, "retries": {"attempts": None, "delaySeconds": None, "policy": None}}])
    await delivered(waha)
    assert len(endpoint.got) == 15
    assert waha.server.clock.now() == pytest.approx(EPOCH + 28, abs=0.01)


@pytest.mark.virtual_time
async def test_a_slow_endpoint_holds_up_no_other_event(simulate: Simulate) -> None:
    got: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        status = str(orjson.loads(request.content)["payload"]["status"])
        await waha.server.clock.sleep(60 if status == "STARTING" else 0)
        got.append(status)
        return httpx.Response(200)

    waha = await simulate(transport=httpx.MockTransport(answer))
    await waha.pair(webhooks=[{"url": "http://gateway.test/hook", "events": ["session.status"]}])
    await delivered(waha)
    assert got == ["SCAN_QR_CODE", "WORKING", "STARTING"]


async def test_every_event_of_one_endpoint_has_a_request_id_of_its_own(simulate: Simulate) -> None:
    endpoint = Endpoint()
    waha = await hooked(simulate, endpoint)
    await delivered(waha)
    ids = [request.headers["x-webhook-request-id"] for request in endpoint.got]
    assert len(ids) == len(set(ids)) > 1


async def test_an_unreachable_endpoint_is_tried_again(simulate: Simulate) -> None:
    failures = [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")]
    got: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if failures:
            raise failures.pop()
        got.append(request)
        return httpx.Response(200)

    waha = await simulate(transport=httpx.MockTransport(answer), start_seconds=1e6)
    await waha.create(webhooks=[{"url": "http://gateway.test/hook", "events": ["session.status"]}])
    await delivered(waha)
    assert len(got) == 1


async def test_undelivered_webhooks_are_lost_when_the_server_restarts(simulate: Simulate) -> None:
    endpoint = Endpoint(*[500] * 3)
    waha = await simulate(transport=httpx.MockTransport(endpoint), start_seconds=1e6, speed=FAST)
    hook = {"url": "http://gateway.test/hook", "events": ["session.status"]}
    await waha.create(webhooks=[{**hook, "retries": {"delaySeconds": 1e6}}])
    await waha.watch.next("session.status")
    await waha.call("POST", "/sim/restart", {"down_seconds": 1e9})
    await delivered(waha)
    assert len(endpoint.got) <= 1
