"""The Python client, against a gateway in a process of its own and against answers that no gateway gives."""

import asyncio
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import Command
from tests.seed_002.seed import read_seed
from whatsapp_scheduler import ApiError, AsyncClient, Client, verify_webhook

pytestmark = pytest.mark.timeout(60)

ADA, BEN = "+44 7700 900100", "+44 7700 900101"
LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def whole_round(url: str) -> None:
    """Everything that the client knows, once."""
    with Client(base_url=url) as client:
        message = client.messages.create(title="Welcome", content="Hello {{name}}!")
        assert message.variables == ["name"]
        assert client.messages.update(message.id, title="Hi", content="Hi {{name}}!").title == "Hi"
        ada = client.recipients.create(name="Ada", phone_number=ADA, variables={"visits": 3})
        ben = client.recipients.create(name="Ben", phone_number=BEN)
        assert client.recipients.get(ada.id).variables == {"visits": 3}
        group = client.groups.create(name="New users", recipient_ids=[ada.id])
        assert client.groups.add_members(group.id, [ben.id]).recipient_count == 2
        assert client.groups.remove_members(group.id, [ada.id]).recipient_count == 1
        assert client.groups.set_members(group.id, [ada.id, ben.id]).recipient_count == 2
        assert sorted(one.name for one in client.recipients.iterate(group_id=group.id, per_page=1)) == ["Ada", "Ben"]

        schedule = client.schedules.create(message_id=message.id, group_id=group.id, scheduled_time=LATER)
        found = client.schedules.get(schedule.id)
        assert (found.status, found.scheduled_time, found.recipient_count) == ("pending", LATER, 2)
        assert [one.id for one in client.schedules.list(status="pending", from_date=datetime.now(UTC)).items] == [
            schedule.id
        ]
        with pytest.raises(ApiError, match="schedule") as refused:
            client.groups.delete(group.id)
        assert (refused.value.status_code, refused.value.error_code) == (409, "RESOURCE_IN_USE")
        assert client.schedules.cancel(schedule.id).status == "cancelled"
        client.schedules.delete(schedule.id)

        webhook = client.webhooks.create(url="https://example.com/hook", events=["message.sent"])
        assert webhook.secret
        assert client.webhooks.rotate_secret(webhook.id).secret != webhook.secret
        assert client.webhooks.get(webhook.id).secret is None
        told_of(client, webhook.id)
        client.webhooks.delete(webhook.id)
        for remove in (client.groups.delete, client.messages.delete):
            remove(group.id if remove is client.groups.delete else message.id)
        client.recipients.delete(ada.id)
        assert client.recipients.list().total == 1


def told_of(client: Client, webhook_id: str) -> None:
    """A webhook is changed and tried out; at its address there is nobody."""
    changed = client.webhooks.change(webhook_id, events=["message.failed"], description="The shop", enabled=False)
    assert (changed.events, changed.description, changed.state) == (["message.failed"], "The shop", "paused")
    client.webhooks.change(webhook_id, url="https://hook.invalid/", enabled=True)
    tried = client.webhooks.test(webhook_id)
    assert (tried.event, tried.state, tried.attempts, tried.status) == ("webhook.test", "given_up", 1, None)
    assert [one.id for one in client.webhooks.deliveries(webhook_id, state="given_up").items] == [tried.id]
    assert [one.id for one in client.webhooks.iterate_deliveries(webhook_id, event="webhook.test")] == [tried.id]
    again = client.webhooks.replay(webhook_id, tried.id)
    assert (again.id, again.state) == (tried.id, "pending")


def files(url: str) -> None:
    """Lists that become recipients, and files of what is there."""
    people = "name,Tel. 2,city\r\nAda,+44 7700 900100,Köln\r\nBen,letters,Paris\r\n".encode()
    with Client(base_url=url) as client:
        looked = client.recipients.import_list(people, dry_run=True, on_bad_row="partial", columns={"Tel. 2": "phone"})
        assert (looked.dry_run, looked.created, looked.invalid) == (True, 1, 1)
        assert client.recipients.list().total == 0
        done = client.recipients.import_list(
            people, group_name="All", on_bad_row="partial", columns={"Tel. 2": "phone"}
        )
        assert client.recipients.get_import(done.id) == done
        bad = list(client.recipients.iterate_import_rows(done.id, fate=["invalid"], per_page=1))
        assert [(row.line, row.name, row.phone_number) for row in bad] == [(3, "Ben", "letters")]
        assert client.recipients.import_rows(done.id).total == 2
        assert client.groups.list().items[0].name == "All"
        with pytest.raises(ApiError) as refused:
            client.recipients.import_list(b"PK not a workbook")
        assert refused.value.status_code == 422
        exported = client.recipients.export(search="ada").decode()
        assert "447700900100" in exported
        assert "Köln" in exported
        with pytest.raises(ApiError) as missing:
            client.campaigns.export("01890000-0000-7000-8000-000000000000", status=["failed"])
        assert missing.value.error_code == "RESOURCE_NOT_FOUND"


async def test_lists_come_in_and_go_out_as_files(gateway: Command) -> None:
    await asyncio.to_thread(files, gateway.url)


async def test_files_and_deliveries_for_asyncio(gateway: Command) -> None:
    async with AsyncClient(base_url=gateway.url) as client:
        await client.recipients.import_list(b"name,phone\nAda,+447700900100\n")
        assert b"Ada" in await client.recipients.export()
        webhook = await client.webhooks.create(url="https://hook.invalid/", events=["*"])
        tried = await client.webhooks.test(webhook.id)
        assert [one.id async for one in client.webhooks.iterate_deliveries(webhook.id)] == [tried.id]


def test_a_campaigns_file_is_given_as_it_came() -> None:
    answers = Answers(httpx.Response(200, content="id,Köln\r\n".encode(), headers={"Content-Type": "text/csv"}))
    client = Client("http://gateway", transport=httpx.MockTransport(answers))
    assert client.campaigns.export("1", status=["failed", "skipped"]) == "id,Köln\r\n".encode()
    assert answers.asked[0].url.raw_path == b"/api/campaigns/1/export?status=failed&status=skipped"


async def test_everything_that_it_knows_works(gateway: Command) -> None:
    await asyncio.to_thread(whole_round, gateway.url)


async def test_it_does_the_same_for_asyncio(gateway: Command) -> None:
    async with AsyncClient(base_url=f"{gateway.url}/api") as client:
        names = [f"Text {number}" for number in range(5)]
        for name in names:
            await client.messages.create(title=name, content="Hello")
        listed = [one.title async for one in client.messages.iterate(per_page=2, sort_order="asc")]
        assert listed == names
        with pytest.raises(ApiError) as refused:
            await client.recipients.create(name="Nobody", phone_number="none")
        assert refused.value.error_code == "INVALID_PHONE_NUMBER"
        assert [one.field for one in refused.value.errors] == ["phone_number"]


async def test_the_promised_example_runs_as_it_stands(gateway: Command, capsys: pytest.CaptureFixture[str]) -> None:
    code = read_seed().blocks("Python SDK", "python")[0].text
    async with AsyncClient(base_url=gateway.url) as client:
        group = await client.groups.create(name="New users")
    for shown, real in {
        "https://api.example.com": gateway.url,
        "your-api-key": "",
        "group-id": group.id,
        "2024-01-01T10:00:00Z": LATER.isoformat(),
    }.items():
        assert f'"{shown}"' in code
        code = code.replace(f'"{shown}"', f'"{real}"')
    names: dict[str, Any] = {}
    await asyncio.to_thread(exec, compile(code, "example", "exec"), names)  # the document's own lines
    names["client"].close()  # which they leave to the end of the program
    assert capsys.readouterr().out == "Status: pending\n"


class Answers:
    """Gives prepared answers in turn, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response | httpx.TransportError) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answer


SAVED: dict[str, Any] = {
    "id": "1",
    "title": "t",
    "content": "c",
    "created_at": "2030-01-01T00:00:00Z",
    "updated_at": "2030-01-01T00:00:00Z",
    "shade": "blue",
}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client has waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def test_a_lost_answer_is_asked_for_again_under_the_same_key(waits: list[float]) -> None:
    answers = Answers(
        httpx.ReadTimeout("lost"), httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(201, json=SAVED)
    )
    client = Client("http://gateway", "wgk_key", transport=httpx.MockTransport(answers))
    message = client.messages.create(title="t", content="c")
    assert message.model_extra == {"shade": "blue"}
    assert waits == [0.5, 7.0]
    keys = {request.headers["Idempotency-Key"] for request in answers.asked}
    assert len(answers.asked) == 3
    assert len(keys) == 1
    assert answers.asked[0].headers["Authorization"] == "Bearer wgk_key"


def test_what_is_refused_is_not_asked_again_and_what_never_comes_is_told(waits: list[float]) -> None:
    client = Client(
        "http://gateway", transport=httpx.MockTransport(Answers(httpx.Response(502, text="<html>"))), retries=0
    )
    with pytest.raises(ApiError) as failed:
        client.messages.get("1")
    assert (failed.value.status_code, failed.value.error_code) == (502, "UNKNOWN")
    refused = Answers(httpx.Response(404, json={"error_code": "RESOURCE_NOT_FOUND", "detail": "no", "errors": []}))
    with pytest.raises(ApiError, match="no"):
        Client("http://gateway", transport=httpx.MockTransport(refused)).messages.get("../admin")
    assert refused.asked[0].url.raw_path == b"/api/messages/..%2Fadmin"
    gone = Answers(*[httpx.ConnectError("gone")] * 4)
    with pytest.raises(httpx.ConnectError):
        Client("http://gateway", transport=httpx.MockTransport(gone)).messages.get("1")
    assert waits == [0.5, 1.0, 2.0]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        Client("http://gateway").schedules.create(
            message_id="1",
            group_id="2",
            scheduled_time=datetime(2030, 1, 1),  # noqa: DTZ001 - that is the point
        )


def test_a_webhook_is_known_by_its_signature() -> None:
    body, secret = b'{"event": "message.sent"}', "your-webhook-secret"
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert verify_webhook(body, signature, secret)
    assert not verify_webhook(body + b" ", signature, secret)
    assert not verify_webhook(body, "é" * 64, secret)
