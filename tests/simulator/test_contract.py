"""Every answer and event of the simulator against WAHA's own API description, where that is at hand.

WAHA's code and its description differ in places. Each is named in DIFFERENCES with its reason; a difference
that is not named fails, and so does a name that is not met any more.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate, Simulated

DOCUMENT = Path(__file__).parents[2].parent / "shared" / "waha" / "openapi.json"
STORE: dict[str, Any] = {"noweb": {"markOnline": True, "store": {"enabled": True, "fullSync": False}}}
FILE = {"mimetype": "image/png", "filename": "a.png", "data": "aGVsbG8="}
ENGINES = ("GOWS", "NOWEB", "WEBJS")

MESSAGE = r"(event message(\.any)?: payload|GET /api/\{session\}/chats/\{chatId\}/messages(/\{messageId\})?: (\[\])?)"
DIFFERENCES = {
    r"POST /api/sendText: \w+ missing": "a send answers with the engine's own object, not with a WAMessage",
    r"POST /api/sendText: id is dict": "WEBJS: the id of a send's answer is an object",
    r"GET /api/sessions(/\{session\})?: (\[\]\.)?presence is (str|null)": "a word or null, not an object",
    r"GET /api/sessions(/\{session\})?: (\[\]\.)?me is null": "nobody is paired",
    r"GET /api/sessions/\{session\}/me: is null": "nobody is paired",
    r"GET /api/contacts/check-exists: chatId is null": "GOWS says null for a number that is not on WhatsApp",
    r"GET /api/\{session\}/lids/.*: (lid|pn) is null": "no such number or hidden id",
    r".*browser is null": "only WEBJS has a browser",
    r"event .*: event is str": "described as an object whose values are words",
    MESSAGE + r"\.?(to|participant|media|replyTo) is null": "null where it does not apply",
    MESSAGE + r"\.?mediaUrl missing": "deprecated and no longer sent",
    r"event message\.ack: payload\.(to|participant) is null": "GOWS and NOWEB name the chat only",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """WAHA's API description as a JSON schema: `nullable` spelt out, boolean `required` of fields dropped."""
    if not DOCUMENT.exists():
        pytest.skip(f"WAHA's API description is not at {DOCUMENT.name} beside the project")
    readable: dict[str, Any] = _as_json_schema(json.loads(DOCUMENT.read_text()))
    return readable


def _as_json_schema(node: Any) -> Any:
    if isinstance(node, list):
        return [_as_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    out = {key: _as_json_schema(value) for key, value in node.items()}
    if isinstance(out.get("required"), bool):
        del out["required"]
    if out.pop("nullable", False) is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


class Contract:
    """Collects where answers and events differ from the description."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.checked: set[str] = set()
        self.differences: set[str] = set()
        self._routes = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path)
            for path in sorted(document["paths"], key=lambda path: path.count("{"))
        ]

    async def answer(self, response: httpx.Response) -> None:
        """Check one answer: known route, known status, and the body where one is described."""
        await response.aread()
        if response.is_error or response.url.path.startswith("/sim/"):
            return
        method, path = response.request.method, response.url.path
        template = next((one for pattern, one in self._routes if pattern.fullmatch(path)), None)
        name = f"{method} {template or path}"
        operation = self.document["paths"].get(template, {}).get(method.lower())
        if operation is None:
            self.differences.add(f"{name}: no such route")
            return
        described = operation["responses"].get(str(response.status_code))
        if described is None:
            self.differences.add(f"{name}: status {response.status_code}")
            return
        self.checked.add(name)
        media_type = response.headers.get("content-type", "").partition(";")[0]
        schema = described.get("content", {}).get(media_type, {}).get("schema")
        if schema is not None and media_type == "application/json":
            self.compare(name, schema, response.json())

    def event(self, envelope: dict[str, Any]) -> None:
        """Check one event against the description of its kind."""
        schemas = self.document["components"]["schemas"]
        kind = envelope["event"]
        name = next(
            name
            for name, schema in schemas.items()
            if name.startswith("WAHAWebhook") and schema["properties"]["event"]["default"] == kind
        )
        self.checked.add(f"event {kind}")
        self.compare(f"event {kind}", schemas[name], envelope)

    def compare(self, name: str, schema: dict[str, Any], body: Any) -> None:
        """Note every place where a body does not fit its schema."""
        whole = {**schema, "components": self.document["components"]}
        for error in Draft202012Validator(whole).iter_errors(body):
            self.differences.update(f"{name}: {where}" for where in _places(error))


def _places(error: Any) -> Iterator[str]:
    path = ".".join("[]" if isinstance(step, int) else str(step) for step in error.absolute_path)
    if error.validator == "required":
        missing = [one for one in error.validator_value if one not in error.instance]
        yield from (f"{path}.{one} missing".lstrip(".") for one in missing)
    else:
        value = type(error.instance).__name__ if error.instance is not None else "null"
        yield f"{path} is {value}".strip()


async def exercise(waha: Simulated) -> None:
    """Call every route of the simulator that a client may call, in every state that changes its answer."""
    one, api = f"/api/sessions/{SENDER}", f"/api/{SENDER}"
    chat = f"{api}/chats/{CHAT}/messages"
    for path in ("/ping", "/health", "/api/version", "/api/server/version", "/api/server/status"):
        await waha.call("GET", path)
    await waha.show_qr(**STORE, metadata={"tenant": "a"})
    await waha.call("GET", f"{one}/me")
    await waha.call("GET", f"{api}/auth/qr")
    await waha.call("GET", f"{api}/auth/qr?format=raw")
    await waha.client.get(f"{api}/auth/qr", headers={"Accept": "application/json"})
    await waha.call("POST", f"{api}/auth/request-code", {"phoneNumber": SENDER})
    await waha.scan()
    await waha.watch.next("session.status", status="WORKING")
    await waha.call("GET", f"{one}/me")
    await waha.call("GET", f"{api}/profile")
    made = (await waha.send()).json()
    for route in ("sendImage", "sendFile", "sendVoice", "sendVideo"):
        await waha.call("POST", f"/api/{route}", {"session": SENDER, "chatId": CHAT, "file": FILE})
    for route in ("startTyping", "stopTyping", "sendSeen"):
        await waha.call("POST", f"/api/{route}", {"session": SENDER, "chatId": CHAT})
    await waha.call("POST", f"{api}/presence", {"presence": "online"})
    await waha.call("GET", f"{api}/new-message-id")
    found = made["id"]["_serialized"] if isinstance(made.get("id"), dict) else MESSAGE_ID
    assert (await waha.call("GET", f"{chat}/{found}")).status_code == 200
    await waha.call("GET", f"{chat}?limit=10")
    await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", {"from": RECIPIENT, "text": "hello"})
    await waha.watch.next("message.ack", ack=3)
    for phone in (RECIPIENT, "12125550199"):
        await waha.call("GET", f"/api/contacts/check-exists?session={SENDER}&phone={phone}")
        await waha.call("GET", f"{api}/lids/pn/{phone}")
        for question in ("about", "profile-picture"):
            await waha.call("GET", f"/api/contacts/{question}?session={SENDER}&contactId={phone}@c.us")
    await waha.call("GET", f"{api}/lids/100000000000000@lid")
    await waha.call("GET", "/api/sessions?all=true")
    await waha.call("GET", one)
    await waha.call("PUT", one, {"config": {}})
    for verb in ("stop", "start", "restart", "logout"):
        await waha.call("POST", f"{one}/{verb}")
    await waha.call("POST", f"{one}/stop")
    await waha.call("GET", "/api/sessions?all=true")
    await waha.call("GET", one)
    await waha.call("DELETE", one)
    await waha.call("POST", "/api/sessions/start", {"name": SENDER})
    await waha.call("POST", "/api/sessions/stop", {"name": SENDER})
    await waha.call("POST", "/api/sessions/logout", {"name": SENDER})
    if waha.server.engine.name == "GOWS":
        await exercise_passkey(waha, "447700900124")
    key = await waha.call("POST", "/api/keys", {"isAdmin": True, "session": None, "isActive": True})
    await waha.call("GET", "/api/keys")
    await waha.call("DELETE", f"/api/keys/{key.json()['id']}")


async def exercise_passkey(waha: Simulated, name: str) -> None:
    """Pair a session with a passkey."""
    passkey = f"/api/{name}/auth/passkey"
    await waha.call("POST", "/api/sessions", {"name": name, "start": False})
    await waha.tell(f"sessions/{name}/passkey", {"passkey": True})
    await waha.act("start", name)
    await waha.watch.next("session.status", name=name, status="SCAN_QR_CODE")
    await waha.scan(name, name)
    await waha.watch.next("session.status", name=name, status="PASSKEY_REQUIRED")
    challenge = await waha.call("GET", f"{passkey}/challenge")
    signature = {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"}
    credential = challenge.json()["allowCredentials"][0]["id"]
    body = {"id": credential, "rawId": credential, "type": "public-key", "response": signature}
    await waha.call("POST", passkey, body)
    await waha.watch.next("session.status", name=name, status="PASSKEY_CONFIRMATION_REQUIRED")
    await waha.call("GET", f"{passkey}/confirmation")
    await waha.call("POST", f"{passkey}/confirm")
    await waha.watch.next("session.status", name=name, status="WORKING")


async def test_answers_and_events_are_as_described_but_for_the_named_differences(
    simulate: Simulate, document: dict[str, Any]
) -> None:
    contract = Contract(document)
    for engine in ENGINES:
        waha = await simulate(engine=engine, speed=50, unregistered=frozenset({"12125550199"}))
        waha.client.event_hooks["response"].append(contract.answer)
        watch = type(waha.watch)(waha.server)
        await exercise(waha)
        for envelope in watch.heard():
            contract.event(envelope)
    unnamed = {one for one in contract.differences if not any(re.fullmatch(name, one) for name in DIFFERENCES)}
    assert unnamed == set()
    stale = {name for name in DIFFERENCES if not any(re.fullmatch(name, one) for one in contract.differences)}
    assert stale == set()
    assert len(contract.checked) >= 40


def test_a_wrong_answer_would_be_noticed(document: dict[str, Any]) -> None:
    contract = Contract(document)
    body = {"name": SENDER, "status": "HAPPY"}
    contract.compare("POST", {"$ref": "#/components/schemas/SessionDTO"}, body)
    assert contract.differences == {"POST: status is str"}
