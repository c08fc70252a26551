"""Bad input: every kind is 422 in the one error shape, names the wrong field, and stores nothing."""

from typing import Any

import pytest

from campaigns.sending.models import Campaign, Message, Setting
from sessions.models import Sender, Session
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, World, recipients

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

GOOD = {"sender_number": ALICE, "template": "Hello", "recipients": recipients(2), "queue_if_offline": True}
ADMIN = {"X-Admin-Token": ADMIN_TOKEN}


def check_shape(answer: Any, *, status: int = 422) -> dict[str, Any]:
    """The error as JSON, after looking whether it has the one shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()
    assert set(error) == {"detail", "status_code", "error_code", "errors"}
    assert error["status_code"] == status
    assert error["detail"]
    for field in error["errors"]:
        assert set(field) == {"field", "message", "code"}
        assert all(field.values())
    return error


async def stored(world: World) -> list[int]:
    """How many rows there are of everything that a request could store."""
    return [await world.count(model) for model in (Sender, Session, Campaign, Message)]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"not json", b'{"a": NaN}', b"\xff\xfe", b"[1, 2", b"null", b"[]", b'"text"']
)
@pytest.mark.parametrize("path", ["/api/send", "/api/send/preview", "/api/sessions", "/api/admin/delays"])
async def test_no_or_malformed_json_is_422(module_world: World, path: str, body: bytes) -> None:
    headers = ADMIN | {"Content-Type": "application/json"}
    error = check_shape(await module_world.call("POST", path, content=body, headers=headers))
    assert error["error_code"] == "VALIDATION_ERROR"
    assert [field["field"] for field in error["errors"]] == ["body"]
    assert await stored(module_world) == [0, 0, 0, 0]


BAD_SEND: list[tuple[str, dict[str, Any], str]] = [
    ("sender_number missing", {"sender_number": ...}, "sender_number"),
    ("template missing", {"template": ...}, "template"),
    ("recipients missing", {"recipients": ...}, "recipients"),
    ("sender_number of letters", {"sender_number": "letters"}, "sender_number"),
    ("sender_number as a number", {"sender_number": 447700900001}, "sender_number"),
    ("sender_number null", {"sender_number": None}, "sender_number"),
    ("sender_number empty", {"sender_number": ""}, "sender_number"),
    ("sender_numbers of letters", {"sender_numbers": [ALICE, "letters"]}, "sender_numbers.1"),
    ("sender_numbers as a string", {"sender_numbers": ALICE}, "sender_numbers"),
    ("recipients empty", {"recipients": []}, "recipients"),
    ("recipients as a string", {"recipients": "+447700900100"}, "recipients"),
    ("recipients null", {"recipients": None}, "recipients"),
    ("too many recipients", {"recipients": recipients(51)}, "recipients"),
    ("recipient of letters", {"recipients": [*recipients(1), "letters"]}, "recipients.1"),
    ("recipient too short", {"recipients": ["12345"]}, "recipients.0"),
    ("recipient too long", {"recipients": ["1234567890123456"]}, "recipients.0"),
    ("recipient a number", {"recipients": [447700900100]}, "recipients.0"),
    ("recipient null", {"recipients": [None]}, "recipients.0"),
    ("recipient without phone", {"recipients": [{"variables": {}}]}, "recipients.0.phone"),
    ("recipient with an unknown field", {"recipients": [{"phone": ALICE, "nom": "x"}]}, "recipients.0.nom"),
    ("variables as a list", {"variables": ["Ada"]}, "variables"),
    ("variable as an object", {"variables": {"name": {"first": "Ada"}}}, "variables.name"),
    ("too many variables", {"variables": {f"v{n}": "x" for n in range(101)}}, "variables"),
    ("text over 5,000", {"template": "x" * 5001}, "template"),
    (
        "text over 5,000 once rendered",
        {"template": "{{a}}" * 6, "variables": {"a": "x" * 1000}, "recipients": recipients(1)},
        "recipients.0",
    ),
    ("empty text", {"template": " "}, "template"),
    ("template not closed", {"template": "Hi {{name"}, "template"),
    ("template without a name", {"template": "Hi {{}}"}, "template"),
    ("template as a number", {"template": 5}, "template"),
    ("NUL in the text", {"template": "Hi \x00"}, "template"),
    ("NUL in the name", {"name": "a\x00b"}, "name"),
    ("value over 5,000", {"variables": {"name": "x" * 5001}}, "variables.name"),
    ("name over 255", {"name": "x" * 256}, "name"),
    ("priority", {"priority": "asap"}, "priority"),
    ("rotation", {"rotation": "random"}, "rotation"),
    ("on_bad_row", {"on_bad_row": "ignore"}, "on_bad_row"),
    ("queue_if_offline", {"queue_if_offline": "perhaps"}, "queue_if_offline"),
    ("media_url without a scheme", {"media_url": "picture.png"}, "media_url"),
    ("media_url of a file", {"media_url": "file:///etc/passwd"}, "media_url"),
    ("media_url on this machine", {"media_url": "http://127.0.0.1:9/picture.png"}, "media_url"),
    ("media_url inside", {"media_url": "http://169.254.169.254/latest/meta-data"}, "media_url"),
    ("unknown field", {"tempalte": "Hello"}, "tempalte"),
]


@pytest.mark.parametrize(("change", "field"), [case[1:] for case in BAD_SEND], ids=[case[0] for case in BAD_SEND])
async def test_a_campaign_with_a_wrong_field_is_422_and_names_it(
    module_world: World, change: dict[str, Any], field: str
) -> None:
    body = {name: value for name, value in (GOOD | change).items() if value is not ...}
    error = check_shape(await module_world.call("POST", "/api/send", body))
    assert [wrong["field"] for wrong in error["errors"]] == [field]
    assert await stored(module_world) == [0, 0, 0, 0]


async def test_all_wrong_fields_are_named_at_once(module_world: World) -> None:
    error = check_shape(await module_world.call("POST", "/api/send", {"template": 5, "recipients": [], "nom": "x"}))
    assert {wrong["field"] for wrong in error["errors"]} == {"sender_number", "template", "recipients", "nom"}


async def test_all_bad_rows_are_named_up_to_a_hundred(make_world: MakeWorld, module_world: World) -> None:
    bad = [f"letters{n}" for n in range(40)]
    error = check_shape(await module_world.call("POST", "/api/send", GOOD | {"recipients": bad}))
    assert error["error_code"] == "INVALID_PHONE_NUMBER"
    assert [wrong["field"] for wrong in error["errors"]] == [f"recipients.{n}" for n in range(40)]
    assert "40 of the recipients" in error["detail"]
    assert "nothing was queued" in error["detail"]


async def test_a_number_that_no_machine_reads_is_refused(module_world: World) -> None:
    body = b'{"variables": {"a": %s}, "sender_number": "1", "template": "", "recipients": []}' % (b"9" * 5000)
    check_shape(
        await module_world.call("POST", "/api/send", content=body, headers={"Content-Type": "application/json"})
    )


async def test_a_template_error_says_where(module_world: World) -> None:
    error = check_shape(await module_world.call("POST", "/api/send", GOOD | {"template": "Hello {{name"}))
    assert error["errors"][0]["code"] == "template_syntax"
    assert "at character" in error["errors"][0]["message"]


BAD_DELAYS: list[Any] = [-1, -0.001, 86_401, 1e300, "2", "NaN", True, False, [], {}, 10**400]


@pytest.mark.parametrize("value", BAD_DELAYS, ids=[str(value)[:12] for value in BAD_DELAYS])
@pytest.mark.parametrize("field", ["MESSAGE_DELAY", "SENDER_SWITCH_DELAY"])
async def test_delays_that_are_none_are_refused_and_stay_as_they_were(
    module_world: World, field: str, value: Any
) -> None:
    before = (await module_world.admin("GET", "/api/admin/delays", status=200)).json()
    good = {"MESSAGE_DELAY": 7, "SENDER_SWITCH_DELAY": 7}
    error = check_shape(await module_world.admin("POST", "/api/admin/delays", good | {field: value}))
    assert {wrong["field"] for wrong in error["errors"]} in ({field}, {"body"})
    assert (await module_world.admin("GET", "/api/admin/delays", status=200)).json() == before


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_delays_that_json_does_not_know_are_refused(module_world: World, literal: str) -> None:
    headers = ADMIN | {"Content-Type": "application/json"}
    for path, rest in (("delays", ""), ("user-delays", f', "sender_number": "{ALICE}"')):
        body = f'{{"MESSAGE_DELAY": {literal}{rest}}}'.encode()
        check_shape(await module_world.call("POST", f"/api/admin/{path}", content=body, headers=headers))


@pytest.mark.parametrize("body", [{}, {"MESSAGE_DELAY": None}, {"message_delay": 2}, {"MESSAGE_DELAY": 2, "JITTER": 1}])
async def test_delays_without_a_delay_or_with_another_field_are_refused(
    module_world: World, body: dict[str, Any]
) -> None:
    check_shape(await module_world.admin("POST", "/api/admin/delays", body))


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "86401", "1e300", "fast", "", "true"])
async def test_a_senders_delay_by_query_is_checked_too(module_world: World, value: str) -> None:
    params = {"sender_number": ALICE, "MESSAGE_DELAY": value}
    error = check_shape(await module_world.admin("POST", "/api/admin/user-delays", params=params))
    assert [wrong["field"] for wrong in error["errors"]] == ["MESSAGE_DELAY"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phone_number"),
        ({"phone_number": None}, "phone_number"),
        ({"phone_number": 447700900001}, "phone_number"),
        ({"phone_number": "letters"}, "phone_number"),
        ({"phone_number": "x" * 41}, "phone_number"),
        ({"phone_number": ALICE, "name": "x"}, "name"),
    ],
)
async def test_a_session_with_a_wrong_field_is_422(module_world: World, body: dict[str, Any], field: str) -> None:
    error = check_shape(await module_world.call("POST", "/api/sessions", body))
    assert [wrong["field"] for wrong in error["errors"]] == [field]
    assert await stored(module_world) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/sessions/letters", "phone_number"),
        ("/api/sessions/letters/status", "phone_number"),
        ("/api/sessions/letters/qr", "phone_number"),
        ("/api/sessions", "sender_number"),
        ("/api/sessions?sender_number=letters", "sender_number"),
        ("/api/campaigns", "sender_number"),
        ("/api/campaigns?sender_number=letters", "sender_number"),
        (f"/api/campaigns?sender_number={ALICE[1:]}&status=sleeping", "status.0"),
        (f"/api/campaigns?sender_number={ALICE[1:]}&limit=0", "limit"),
        (f"/api/campaigns?sender_number={ALICE[1:]}&limit=1001", "limit"),
        (f"/api/campaigns?sender_number={ALICE[1:]}&skip=-1", "skip"),
        (f"/api/campaigns?sender_number={ALICE[1:]}&created_from=yesterday", "created_from"),
        (f"/api/campaigns?sender_number={ALICE[1:]}&search=%00", "search"),
        ("/api/status/not-an-id", "campaign_id"),
    ],
)
async def test_a_wrong_path_or_query_is_422_and_names_the_parameter(module_world: World, path: str, field: str) -> None:
    error = check_shape(await module_world.call("GET", path))
    assert [wrong["field"] for wrong in error["errors"]] == [field]


async def test_times_at_the_ends_of_the_calendar_are_no_bug(module_world: World) -> None:
    ends = {"0001-01-01": 200, "9999-12-31T23:59:59Z": 200}
    beyond_them = {"0001-01-01T00:00:00+14:00": 422, "9999-12-31T23:59:59-14:00": 422}
    for moment, status in (ends | beyond_them).items():
        params = {"sender_number": ALICE, "created_from": moment}
        await module_world.call("GET", "/api/campaigns", params=params, status=status)


async def test_a_number_is_no_time(module_world: World) -> None:
    answer = await module_world.call("GET", f"/api/campaigns?sender_number={ALICE[1:]}&created_to=0.5")
    assert [wrong["field"] for wrong in check_shape(answer)["errors"]] == ["created_to"]


@pytest.mark.parametrize("number", [0, 1, "yes"])
async def test_only_true_and_false_are_either(module_world: World, number: object) -> None:
    body = {"sender_number": ALICE, "recipients": recipients(1), "template": "hi", "failover": number}
    assert [wrong["field"] for wrong in check_shape(await module_world.call("POST", "/api/send", body))["errors"]] == [
        "failover"
    ]


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/api/messages", "DELETE", "GET, POST"),
        ("/api/recipients/groups", "PUT", "GET, POST"),
        ("/api/messages/01890000-0000-7000-8000-000000000000", "POST", "DELETE, GET, PUT"),
        ("/api/webhook/waha", "TRACE", "POST"),
    ],
)
async def test_a_wrong_method_is_405_and_tells_every_right_one(
    module_world: World, path: str, method: str, allowed: str
) -> None:
    answer = await module_world.call(method, path, status=405)
    assert answer.headers["allow"] == allowed


async def test_a_path_that_is_none_and_a_wrong_method_have_the_same_shape(module_world: World) -> None:
    assert check_shape(await module_world.call("GET", "/api/nothing"), status=404)["error_code"] == "RESOURCE_NOT_FOUND"
    assert (
        check_shape(await module_world.call("PUT", "/api/send", {}), status=405)["error_code"] == "METHOD_NOT_ALLOWED"
    )


async def test_a_body_that_is_not_json_by_its_type_is_415(module_world: World) -> None:
    answer = await module_world.call("POST", "/api/send", content=b"{}", headers={"Content-Type": "text/plain"})
    assert check_shape(answer, status=415)["error_code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_an_error_is_a_problem_of_rfc_9457_when_asked_for(module_world: World) -> None:
    headers = {"Accept": "application/problem+json"}
    answer = await module_world.call("POST", "/api/send", {}, headers=headers, status=422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.json()["status_code"] == 422


async def test_the_real_limit_is_a_hundred_thousand_recipients(world: World) -> None:
    many = [f"+4477{n:08d}" for n in range(100_001)]
    error = check_shape(await world.call("POST", "/api/send", GOOD | {"recipients": many}))
    assert [(wrong["field"], wrong["code"]) for wrong in error["errors"]] == [("recipients", "too_long")]
    assert "100000" in error["detail"]
    assert await stored(world) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("last", "field", "code"),
    [
        ("letters", "recipients.99999", "invalid_format"),
        ({"phone": "+33639980000", "nom": "x"}, "recipients.99999.nom", "extra_forbidden"),
    ],
    ids=["no number", "unknown field"],
)
async def test_the_last_of_a_hundred_thousand_recipients_is_named(
    world: World, last: Any, field: str, code: str
) -> None:
    many = ["+33639980000"] * 99_999
    error = check_shape(await world.call("POST", "/api/send", GOOD | {"recipients": [*many, last]}))
    assert [(wrong["field"], wrong["code"]) for wrong in error["errors"]] == [(field, code)]
    assert await stored(world) == [0, 0, 0, 0]


async def test_the_delays_of_the_settings_are_the_only_rows_of_a_new_database(module_world: World) -> None:
    assert await module_world.count(Setting) == 2
