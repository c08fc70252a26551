"""People, groups and texts for the tests of the console's library, made over the API."""

from typing import Any

from tests.api.world import World

ADA, BEN = "+447700900100", "+447700900101"


async def make_template(world: World, content: str = "Hello {{name}}!", title: str = "Welcome") -> str:
    """A template's id."""
    made = await world.admin("POST", "/api/messages", {"title": title, "content": content}, status=201)
    return str(made.json()["id"])


async def make_recipient(world: World, number: str = ADA, name: str = "Ada", **fields: Any) -> str:
    """A recipient's id."""
    body = {"name": name, "phone_number": number, **fields}
    return str((await world.admin("POST", "/api/recipients", body, status=201)).json()["id"])


async def make_group(world: World, name: str = "VIP Customers", members: tuple[str, ...] = ()) -> str:
    """A group's id."""
    body = {"name": name, "recipient_ids": list(members)}
    return str((await world.admin("POST", "/api/recipients/groups", body, status=201)).json()["id"])


async def make_schedule(world: World, template: str, group: str, at: str, **options: Any) -> str:
    """A schedule's id."""
    body = {"message_id": template, "group_id": group, "scheduled_time": at, **options}
    return str((await world.admin("POST", "/api/schedules", body, status=201)).json()["id"])
