"""Parts of a page that ask again by themselves: what has not changed since is not sent, so nothing moves or flickers.

A part carries a mark of what it shows, which comes back as `seen` with the next question.
"""

import hashlib
from typing import Any

from starlette.responses import HTMLResponse, Response

from admin.console.pages import NO_STORE, Pages


def draw_part(pages: Pages, template: str, **values: Any) -> str:
    """The part as HTML, with its mark; a template puts it in as `| safe`."""
    text = pages.text(template, **values)
    return f'{text}<input type="hidden" name="seen" value="{_mark(text)}">'


def answer_part(pages: Pages, template: str, seen: str, **values: Any) -> Response:
    """The part, or nothing where its viewer has it as it is (`seen`)."""
    part = draw_part(pages, template, **values)
    same = bool(seen) and f'name="seen" value="{seen}"' in part
    return Response(status_code=204, headers=NO_STORE) if same else HTMLResponse(part, headers=NO_STORE)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
