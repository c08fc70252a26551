"""One sender: how it is, what happened to it, what it may send, and everything that can be done with it."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.forms import Errors, NotANumber, errors_of, optional_number
from admin.console.lists import PageNumber
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.senders.looks import LIMITS, SenderLooks
from admin.console.senders.router import LIST, pair_link
from gateway.errors import NotFound

Number = Annotated[str, Path(pattern=r"^[0-9]{7,15}$")]
Text = Annotated[str, Form(max_length=200)]
LongText = Annotated[str, Form(max_length=70_000)]
VERBS = {
    "start": "It is being started.",
    "stop": "It is stopped. Its messages wait, and it stays paired.",
    "restart": "It is being restarted.",
    "logout": "It is logged out. To send again, scan again.",
}
FINAL = ("delivered", "read", "failed", "skipped", "cancelled", "unconfirmed")
"""A test message in one of these states is not asked about any more."""
TEST_TEXT = "A test message. Nothing needs to be done."
TEST_FIELDS = {"recipients.0": "to", "recipients": "to", "template": "text"}


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/senders/{number}`."""
    router = APIRouter(prefix=f"{LIST}/{{number}}", include_in_schema=False, route_class=console_route(desk.pages))
    looks = SenderLooks(desk.api)
    _add_page(router, desk, door, looks)
    _add_changes(router, desk, door, looks)
    _add_operator(router, desk, door, looks)
    _add_test(router, desk, door)
    return router


def _add_page(router: APIRouter, desk: Desk, door: Door, looks: SenderLooks) -> None:
    Onlooker = Annotated[Visitor, Depends(door.watcher)]  # noqa: N806 - a type

    @router.get("")
    async def page(request: Request, number: Number, visitor: Annotated[Visitor, Depends(door.visitor)]) -> Response:
        values = await looks.all(visitor, number)
        values |= {"number": number, "operator": visitor.is_operator, "errors": {}, "said": values["limits"]}
        test = {"to": "", "text": TEST_TEXT, "key": str(uuid4())}
        return desk.pages.page(request, visitor, "senders/one.html", test=test, **values)

    @router.get("/state")
    async def state(number: Number, visitor: Onlooker) -> Response:
        one = await looks.sender(visitor, number)
        return desk.pages.part("senders/state.html", one=one, number=number, operator=visitor.is_operator)

    @router.get("/history")
    async def history(
        number: Number,
        visitor: Annotated[Visitor, Depends(door.visitor)],
        page: PageNumber = 1,
    ) -> Response:
        return desk.pages.part("senders/history.html", **await looks.history(visitor, number, page))


def _add_changes(router: APIRouter, desk: Desk, door: Door, looks: SenderLooks) -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.post("/pair-link")
    async def link(request: Request, number: Number, visitor: Who) -> Response:
        return desk.pages.part("senders/pair_link.html", link=await pair_link(desk, request, visitor, f"+{number}"))

    @router.post("/session/{verb}")
    async def act(number: Number, verb: str, visitor: Who) -> Response:
        if verb not in VERBS:
            raise NotFound("there is no such action")
        await desk.api.call(visitor, "POST", f"/api/sessions/+{number}/{verb}")
        one = await looks.sender(visitor, number)
        values = {"one": one, "number": number, "operator": visitor.is_operator}
        return desk.pages.part("senders/state.html", note=VERBS[verb], **values)


def _add_operator(router: APIRouter, desk: Desk, door: Door, looks: SenderLooks) -> None:
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type

    @router.delete("")
    async def remove(number: Number, visitor: Operator) -> Response:
        await desk.api.call(visitor, "DELETE", f"/api/sessions/+{number}")
        return desk.pages.done("The sender was removed. Its campaigns and their history stay.", to=LIST)

    @router.post("/move")
    async def move(number: Number, visitor: Operator, server: Text = "", force: Text = "") -> Response:
        body = {"server": server or None, "force": bool(force)}
        moved = await desk.api.call(visitor, "POST", f"/api/admin/sessions/+{number}/move", body)
        again = " Its phone has to scan again." if moved["scan_again"] else ""
        return desk.pages.done(f"It lives on {moved['server']} now.{again}", reload=True)

    @router.post("/limits")
    async def limits(
        number: Number,
        visitor: Operator,
        delay: Annotated[str, Form(max_length=40, alias="MESSAGE_DELAY")] = "",
        daily_cap: Text = "",
        timezone: Text = "",
    ) -> Response:
        said = {"MESSAGE_DELAY": delay, "daily_cap": daily_cap, "timezone": timezone}
        try:
            body = {
                "MESSAGE_DELAY": optional_number("MESSAGE_DELAY", delay),
                "daily_cap": optional_number("daily_cap", daily_cap),
                "timezone": timezone.strip() or None,
            }
            held = await desk.api.call(visitor, "PATCH", f"/api/admin/senders/+{number}", body)
        except NotANumber as error:
            return await limits_form(visitor, number, said, error.errors)
        except Refused as refused:
            return await limits_form(visitor, number, said, errors_of(refused, LIMITS))
        values = {"limits": held, "said": held, "errors": {}, "number": number}
        return desk.pages.part("senders/limits.html", note="Saved. It holds from the next message on.", **values)

    async def limits_form(visitor: Visitor, number: str, said: dict[str, str], errors: Errors) -> Response:
        held = await looks.limits(visitor, number)
        return desk.pages.part("senders/limits.html", 422, limits=held, said=said, errors=errors, number=number)


def _add_test(router: APIRouter, desk: Desk, door: Door) -> None:
    @router.post("/test")
    async def send(
        number: Number,
        visitor: Annotated[Visitor, Depends(door.visitor)],
        to: Text = "",
        text: LongText = "",
        key: Text = "",
    ) -> Response:
        values: dict[str, Any] = {"number": number, "test": {"to": to, "text": text, "key": key}}
        body = {
            "sender_number": f"+{number}",
            "recipients": [to.strip()],
            "template": text,
            "name": "Test message",
            "priority": "urgent",
        }
        try:
            sent = await desk.api.call(visitor, "POST", "/api/send", body, headers={"Idempotency-Key": key})
        except Refused as refused:
            errors = errors_of(refused, ("to", "text"), TEST_FIELDS)
            return desk.pages.part("senders/test.html", 422, errors=errors, campaign_id="", **values)
        values["test"]["key"] = str(uuid4())
        return desk.pages.part("senders/test.html", errors={}, campaign_id=sent["campaign_id"], **values)

    @router.get("/tests/{campaign_id}")
    async def sent(number: Number, campaign_id: UUID, visitor: Annotated[Visitor, Depends(door.watcher)]) -> Response:
        query = {"details": True, "sender_number": f"+{number}"}
        status = await desk.api.get(visitor, f"/api/status/{campaign_id}", query)
        message = status["messages"]["items"][0]
        return desk.pages.part(
            "senders/sent.html", message=message, number=number, campaign=status, over=message["status"] in FINAL
        )
