"""Changes of a state that an operator asks for: from the state that they saw, for a reason, and kept in history.

The services do it, by compare-and-set, as they do it for everybody. The line of the history is written before, in a
transaction of its own, and gets its outcome after: what was tried is there whatever becomes of this process.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog

from admin.actions import queries
from admin.actions.models import Outcome
from admin.actions.schemas import ActionIn
from admin.actions.verbs import Subject, find_verb
from campaigns.sending.steering import Steering
from gateway.db import AnyRow, Database, read_now
from gateway.errors import FieldError, GatewayError, NotFound, ValidationFailed, WrongState
from gateway.ids import make_id
from sessions.service import SessionService

log = structlog.get_logger()

Act = Callable[[str | int, AnyRow, str], Awaitable[Any]]
"""Does something to the row with this key, which was found like that, if its state is this one still."""


class ActionService:
    """Does what operators ask for, and remembers it."""

    def __init__(self, db: Database, steering: Steering, sessions: SessionService) -> None:
        self._db = db
        self._acts = _acts(steering, sessions)

    async def act(self, wanted: ActionIn, by: str) -> AnyRow:
        """Do it; gives the line of the history.

        Raises:
            ValidationFailed: there is no such action for the table.
            NotFound: there is no such row.
            WrongState: the row is in another state by now, or nothing like that can be done in this one.
            GatewayError: it could not be done for another reason.
        """
        verb = find_verb(wanted.table, wanted.action)
        if verb is None:
            message = f"a {wanted.table} has no action of this name"
            raise ValidationFailed(message, errors=[FieldError("action", message, "unknown")])
        key = _key(wanted.table, wanted.row)
        async with self._db.write() as tx:
            found = await queries.find_subject(tx, wanted.table, key)
            if found is None:
                raise NotFound("there is no such row")
            now = await read_now(tx)
            values = {"table_name": wanted.table, "row_id": str(key), "action": wanted.action, "before": wanted.state}
            action_id = make_id(now)
            stated = {"reason": wanted.reason, "outcome": Outcome.BEGUN, "detail": ""}
            await queries.insert_action(tx, {"id": action_id, "at": now, "by": by} | values | stated)
        log.info("operator_acts", action=wanted.action, table=wanted.table, row=str(key))
        try:
            if found.state != wanted.state:
                raise _moved(wanted, found.state)
            if wanted.state not in verb.states:
                raise WrongState(f"a {wanted.table} that is {wanted.state} cannot be changed like that")
            await self._acts[wanted.table, wanted.action](key, found, wanted.state)
        except GatewayError as error:
            raise await self._refused(action_id, wanted, key, error) from error
        return await self._finish(action_id, wanted.table, key)

    async def page(self, table: str | None, row: str | None, offset: int, limit: int) -> tuple[list[AnyRow], int]:
        """Some lines of the history, newest first, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_actions(connection, table, row, offset, limit)
        return list(rows), total

    async def _finish(self, action_id: str, subject: Subject, key: str | int) -> AnyRow:
        async with self._db.write() as tx:
            now_found = await queries.find_subject(tx, subject, key)
            after = None if now_found is None else now_found.state
            return await queries.finish_action(tx, action_id, outcome=Outcome.DONE, after=after)

    async def _refused(self, action_id: str, wanted: ActionIn, key: str | int, error: GatewayError) -> GatewayError:
        """Remember that it was refused, and tell why: of a row that has moved on, to where."""
        async with self._db.write() as tx:
            found = await queries.find_subject(tx, wanted.table, key)
            if isinstance(error, WrongState) and found is not None and found.state != wanted.state:
                error = _moved(wanted, found.state)
            await queries.finish_action(tx, action_id, outcome=Outcome.REFUSED, detail=error.detail)
        return error


def _moved(wanted: ActionIn, state: str) -> WrongState:
    return WrongState(f"the {wanted.table} is {state} by now, and not {wanted.state}; look at it again")


def _key(subject: Subject, row: str) -> str | int:
    """A row's key as its column has it; raises `NotFound` for what can be none."""
    try:
        if subject is not Subject.SESSION:
            return str(UUID(row))
        number = int(row)
    except ValueError:
        raise NotFound("there is no such row") from None
    if not 0 <= number < 2**31:
        raise NotFound("there is no such row")
    return number


def _acts(steering: Steering, sessions: SessionService) -> dict[tuple[Subject, str], Act]:
    """How each verb is done."""

    def to_campaign(do: Callable[..., Awaitable[Any]]) -> Act:
        return lambda key, _, state: do(key, None, only_if=state)

    def to_message(do: Callable[..., Awaitable[Any]]) -> Act:
        return lambda key, found, _: do(found.campaign_id, key, None)  # each is from one state only

    def to_session(do: Callable[..., Awaitable[Any]]) -> Act:
        return lambda _, found, state: do(found.number, only_if=state)

    return {
        (Subject.CAMPAIGN, "pause"): to_campaign(steering.pause),
        (Subject.CAMPAIGN, "resume"): lambda key, _, __: steering.resume(str(key), None),
        (Subject.CAMPAIGN, "retry"): to_campaign(steering.retry),
        (Subject.CAMPAIGN, "cancel"): to_campaign(steering.cancel),
        (Subject.MESSAGE, "resend"): to_message(steering.resend),
        (Subject.MESSAGE, "accept"): to_message(steering.accept),
        (Subject.MESSAGE, "retry"): to_message(steering.retry_message),
        (Subject.MESSAGE, "cancel"): to_message(steering.cancel_message),
        (Subject.SESSION, "start"): to_session(sessions.start),
        (Subject.SESSION, "restart"): to_session(sessions.restart),
        (Subject.SESSION, "stop"): to_session(sessions.stop),
        (Subject.SESSION, "logout"): to_session(sessions.logout),
    }
