"""Every request that the client can make, held against WAHA's own API description.

Where that document and WAHA's real behaviour differ, the difference is named in `UNDOCUMENTED` or `MISTYPED`.
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jsonschema
import orjson
import pytest

from gateway.waha.client import WahaClient
from gateway.waha.events import DEFAULT_EVENTS
from gateway.waha.schemas import WahaStatus
from tests.waha.conftest import BASE_URL

CHAT = "447700900123@c.us"
BARE = "3EB0123456789ABCDEF012"
CONFIG = {
    "metadata": {"sender": "s1"},
    "noweb": {"markOnline": True, "store": {"enabled": True, "fullSync": False}},
    "gows": {"storage": {"messages": True}},
    "webjs": {"tagsEventsOn": True},
}

ASSERTION = {
    "id": "AbCd",
    "rawId": "AbCd",
    "type": "public-key",
    "response": {"clientDataJSON": "eyJ9", "authenticatorData": "SZYN", "signature": "MEUC", "userHandle": "AA"},
}

# WAHA's engines honour `id` on media as on text, and nothing strips it; the document lists it for text only.
UNDOCUMENTED = {
    ("POST", "/api/sendImage"): {"id"},
    ("POST", "/api/sendVideo"): {"id"},
    ("POST", "/api/sendVoice"): {"id"},
    ("POST", "/api/sendFile"): {"id"},
}
# The document types these as "object" while its own defaults for them are texts.
MISTYPED = {"VideoBinaryFile": ("mimetype", "filename"), "VoiceBinaryFile": ("mimetype", "filename")}

Call = Callable[[WahaClient], Awaitable[object]]


def media(kind: str, caption: str | None = None, filename: str | None = None) -> Call:
    return lambda client: client.send_media(
        "alice", CHAT, kind=kind, data=b"x", mimetype="a/b", message_id=BARE, caption=caption, filename=filename
    )


CALLS: dict[str, list[Call]] = {
    "ping": [lambda client: client.ping()],
    "server_version": [lambda client: client.server_version()],
    "server_status": [lambda client: client.server_status()],
    "list_sessions": [lambda client: client.list_sessions(), lambda client: client.list_sessions(all=False)],
    "get_session": [lambda client: client.get_session("alice")],
    "create_session": [
        lambda client: client.create_session("alice", CONFIG),
        lambda client: client.create_session("alice", {}, start=False),
    ],
    "update_session": [lambda client: client.update_session("alice", CONFIG)],
    "start_session": [lambda client: client.start_session("alice")],
    "stop_session": [lambda client: client.stop_session("alice")],
    "restart_session": [lambda client: client.restart_session("alice")],
    "logout_session": [lambda client: client.logout_session("alice")],
    "delete_session": [lambda client: client.delete_session("alice")],
    "get_me": [lambda client: client.get_me("alice")],
    "get_qr": [lambda client: client.get_qr("alice")],
    "request_code": [lambda client: client.request_code("alice", "+447700900123")],
    "passkey_challenge": [lambda client: client.passkey_challenge("alice")],
    "submit_passkey": [lambda client: client.submit_passkey("alice", ASSERTION)],
    "passkey_confirmation": [lambda client: client.passkey_confirmation("alice")],
    "confirm_passkey": [lambda client: client.confirm_passkey("alice")],
    "send_text": [lambda client: client.send_text("alice", CHAT, "Hello", BARE)],
    "send_media": [
        media("image"),
        media("image", "Look", "a.png"),
        media("video", "Look"),
        media("voice"),
        media("file", None, "a.pdf"),
    ],
    "find_message": [lambda client: client.find_message("alice", CHAT, BARE)],
    "check_number": [lambda client: client.check_number("alice", "447700900123")],
    "phone_of_lid": [lambda client: client.phone_of_lid("alice", "123456789012345@lid")],
}


def test_every_method_of_the_client_is_covered_here() -> None:
    methods = {
        name
        for name, member in inspect.getmembers(WahaClient, inspect.isfunction)
        if not name.startswith("_") and name != "aclose"
    }

    assert set(CALLS) == methods


class Recorder:
    """A WAHA that answers everything with everything, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/api/sessions" and request.method == "GET":
            return httpx.Response(200, json=[])
        answer = {
            "id": f"true_{CHAT}_{BARE}",
            "name": "alice",
            "status": "WORKING",
            "value": "2@qr",
            "code": "ABCD-EFGH",
            "challenge": "uQ5m0Zc2nDqk",
            "version": "2026.7.1",
            "engine": "GOWS",
            "startTimestamp": 1,
            "uptime": 1,
            "numberExists": True,
        }
        if request.url.path != "/api/server/version":
            answer["engine"] = {}
        return httpx.Response(200, json=answer)


def find_operation(openapi: dict[str, Any], request: httpx.Request) -> tuple[str, dict[str, Any]]:
    """The path template and operation of a request; fixed paths win over templates."""
    path = request.url.raw_path.partition(b"?")[0].decode()
    templates = sorted(openapi["paths"], key=lambda template: template.count("{"))
    for template in templates:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        operation: dict[str, Any] | None = openapi["paths"][template].get(request.method.lower())
        if operation is not None and re.fullmatch(pattern, path):
            return template, operation
    raise AssertionError(f"WAHA has no {request.method} {path}")


def check_query(operation: dict[str, Any], request: httpx.Request) -> None:
    known = {item["name"]: item for item in operation.get("parameters", []) if item["in"] == "query"}
    given = dict(request.url.params)

    assert set(given) <= set(known)
    assert {name for name, item in known.items() if item.get("required")} <= set(given)
    for name, value in given.items():
        schema = known[name].get("schema", {})
        read = {"true": True, "false": False}.get(value, value) if schema.get("type") == "boolean" else value
        jsonschema.validate(read, {key: schema[key] for key in ("type", "enum") if key in schema})


def schema_of_body(openapi: dict[str, Any], operation: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The JSON schema of an operation's body, with the document's own mistakes repaired, and its field names."""
    schemas = orjson.loads(orjson.dumps(openapi["components"]["schemas"]))
    for name, fields in MISTYPED.items():
        for field in fields:
            assert schemas[name]["properties"][field]["type"] == "object"  # else drop it from MISTYPED
            schemas[name]["properties"][field]["type"] = "string"
    ref: str = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    fields_of_it = set(schemas[ref.rpartition("/")[2]]["properties"])
    return {"$ref": ref, "components": {"schemas": schemas}}, fields_of_it


def check_body(openapi: dict[str, Any], template: str, operation: dict[str, Any], request: httpx.Request) -> None:
    if "requestBody" not in operation:
        assert request.content == b""
        return
    body = orjson.loads(request.content)
    schema, fields = schema_of_body(openapi, operation)
    extra = UNDOCUMENTED.get((request.method, template), set())

    assert request.headers["Content-Type"] == "application/json"
    assert not extra & fields  # the document has it now: drop it from UNDOCUMENTED
    assert set(body) <= fields | extra
    jsonschema.Draft202012Validator(schema).validate(body)


@pytest.mark.parametrize("name", CALLS)
async def test_every_request_is_one_that_waha_documents(name: str, openapi: dict[str, Any]) -> None:
    recorder = Recorder()
    async with WahaClient(BASE_URL, "key", transport=httpx.MockTransport(recorder)) as client:
        for call in CALLS[name]:
            await call(client)

    assert len(recorder.requests) == len(CALLS[name])
    for request in recorder.requests:
        template, operation = find_operation(openapi, request)
        check_query(operation, request)
        check_body(openapi, template, operation, request)


def test_the_check_itself_sees_a_wrong_request(openapi: dict[str, Any]) -> None:
    wrong = httpx.Request("POST", f"{BASE_URL}/api/sendText", json={"session": "a", "chatId": CHAT, "text": 7})
    template, operation = find_operation(openapi, wrong)

    with pytest.raises(jsonschema.ValidationError):
        check_body(openapi, template, operation, wrong)
    with pytest.raises(AssertionError):
        find_operation(openapi, httpx.Request("POST", f"{BASE_URL}/api/sendTxt"))
    with pytest.raises(AssertionError):
        check_query(operation, httpx.Request("POST", f"{BASE_URL}/api/sendText?fast=1"))


def test_every_status_of_waha_is_known(openapi: dict[str, Any]) -> None:
    documented = openapi["components"]["schemas"]["SessionInfo"]["properties"]["status"]["enum"]

    assert {*documented, "UNKNOWN"} == {status.value for status in WahaStatus}


def test_the_events_we_listen_to_exist(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    documented = {
        event
        for name, schema in schemas.items()
        if name.startswith("WAHAWebhook")
        for event in schema["properties"].get("event", {}).get("enum", [])
    }

    assert set(DEFAULT_EVENTS) <= documented
