"""The first of the recipients, for whom a text is shown before it is sent."""

from typing import Any

import orjson

from admin.console.door import Visitor
from admin.console.own_api import OwnApi, Query


async def read_samples(api: OwnApi, visitor: Visitor, query: Query) -> tuple[str, int]:
    """Recipients with their values, as the JSON that `bubbles` takes, and how many there are in all."""
    found = await api.get(visitor, "/api/recipients", query)
    people: list[dict[str, Any]] = [
        {"phone_number": one["phone_number"], "variables": {"name": one["name"]} | one["variables"]}
        for one in found["items"]
    ]
    return orjson.dumps(people).decode(), found["total"]
