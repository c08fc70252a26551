"""What a list is narrowed to, as its address says it, and as the API takes it."""

from collections.abc import Mapping
from typing import Any

from admin.console.lists import PER_PAGE
from admin.console.times import day_start


def campaign_query(said: Mapping[str, str], page: int) -> dict[str, Any]:
    """The API's query for the filters of the list of campaigns.

    Raises:
        ValidationFailed: a day is none.
    """
    zone = said["zone"]
    return {
        "status": said["status"],
        "search": said["search"],
        "sender_number": said["sender_number"],
        "created_from": day_start(said["created_from"], zone, "created_from"),
        "created_to": day_start(said["created_to"], zone, "created_to", after=True),
        "page": page,
        "per_page": PER_PAGE,
    }
