"""Deleting what schedules may need: it stays while one does, and the page says so beside the button."""

from starlette.responses import Response

from admin.console.door import Visitor
from admin.console.forms import as_sentence
from admin.console.own_api import Refused
from admin.console.pages import Desk

IN_USE = "RESOURCE_IN_USE"


async def remove_unused(desk: Desk, visitor: Visitor, path: str, *, note: str, to: str, schedules: str) -> Response:
    """The answer to a deletion at the API: a `note` on the page `to`, or why it stays, with a link to its `schedules`.

    Raises:
        Refused: it was not deleted for another reason.
    """
    try:
        await desk.api.call(visitor, "DELETE", path)
    except Refused as refused:
        if refused.code != IN_USE:
            raise
        return desk.pages.part("in_use.html", 422, sentence=as_sentence(refused.detail), schedules=schedules)
    return desk.pages.done(note, to=to)
