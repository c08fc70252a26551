"""What the lists of the console have in common: pages, addresses that keep the filters, and parts drawn anew."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request

PER_PAGE = 25
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
Word = Annotated[str, Query(max_length=255)]
"""What a list is filtered by."""


def wants_part(request: Request, part: str) -> bool:
    """Whether a page of ours asks for this part of itself (an id), and not the browser for the page as it was."""
    headers = request.headers
    return headers.get("hx-target") == part and headers.get("hx-history-restore-request") != "true"


def link_of(path: str, said: Mapping[str, str] | None = None) -> str:
    """The address of a list with these filters, to which the number of a page is added."""
    kept = {name: value for name, value in (said or {}).items() if value}
    return f"{path}?{urlencode(kept | {'page': ''})}"
