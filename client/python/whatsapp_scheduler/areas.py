"""What a client has for each kind of thing: the calls as methods, with and without asyncio."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from whatsapp_scheduler import calls, list_calls, webhook_calls
from whatsapp_scheduler.calls import Call
from whatsapp_scheduler.models import Page

P = ParamSpec("P")
T = TypeVar("T")


class Asking(Protocol):
    """Whatever sends a request and reads its answer."""

    def ask(self, call: Call[T]) -> T:
        """Send and read."""


class AsyncAsking(Protocol):
    """As `Asking`, for asyncio."""

    async def ask(self, call: Call[T]) -> T:
        """Send and read."""


def _asking(client: Asking, make: Callable[P, Call[T]]) -> Callable[P, T]:
    """What makes a call, as a method that asks it."""

    @wraps(make)
    def method(*args: P.args, **kwargs: P.kwargs) -> T:
        return client.ask(make(*args, **kwargs))

    return method


def _awaiting(client: AsyncAsking, make: Callable[P, Call[T]]) -> Callable[P, Awaitable[T]]:
    @wraps(make)
    def method(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return client.ask(make(*args, **kwargs))

    return method


def _iterating(client: Asking, make: Callable[..., Call[Page[T]]]) -> Callable[..., Iterator[T]]:
    """What makes the call for a page, as a method that goes through all of them."""

    def method(*ids: str, **query: Any) -> Iterator[T]:
        page, pages = 1, 1
        while page <= pages:
            found = client.ask(make(*ids, **query, page=page))
            yield from found.items
            page, pages = page + 1, found.pages

    return method


def _iterating_async(client: AsyncAsking, make: Callable[..., Call[Page[T]]]) -> Callable[..., AsyncIterator[T]]:
    async def method(*ids: str, **query: Any) -> AsyncIterator[T]:
        page, pages = 1, 1
        while page <= pages:
            found = await client.ask(make(*ids, **query, page=page))
            for item in found.items:
                yield item
            page, pages = page + 1, found.pages

    return method


class Messages:
    """What can be asked about messages."""

    def __init__(self, client: Asking) -> None:
        self.list = _asking(client, calls.list_messages)
        self.iterate = _iterating(client, calls.list_messages)
        self.create = _asking(client, calls.create_message)
        self.get = _asking(client, calls.get_message)
        self.update = _asking(client, calls.update_message)
        self.delete = _asking(client, calls.delete_message)


class AsyncMessages:
    """As `Messages`, for asyncio."""

    def __init__(self, client: AsyncAsking) -> None:
        self.list = _awaiting(client, calls.list_messages)
        self.iterate = _iterating_async(client, calls.list_messages)
        self.create = _awaiting(client, calls.create_message)
        self.get = _awaiting(client, calls.get_message)
        self.update = _awaiting(client, calls.update_message)
        self.delete = _awaiting(client, calls.delete_message)


class Recipients:
    """What can be asked about recipients."""

    def __init__(self, client: Asking) -> None:
        self.list = _asking(client, calls.list_recipients)
        self.iterate = _iterating(client, calls.list_recipients)
        self.create = _asking(client, calls.create_recipient)
        self.get = _asking(client, calls.get_recipient)
        self.update = _asking(client, calls.update_recipient)
        self.delete = _asking(client, calls.delete_recipient)
        self.import_list = _asking(client, list_calls.import_recipients)
        self.get_import = _asking(client, list_calls.get_import)
        self.import_rows = _asking(client, list_calls.list_import_rows)
        self.iterate_import_rows = _iterating(client, list_calls.list_import_rows)
        self.export = _asking(client, list_calls.export_recipients)


class AsyncRecipients:
    """As `Recipients`, for asyncio."""

    def __init__(self, client: AsyncAsking) -> None:
        self.list = _awaiting(client, calls.list_recipients)
        self.iterate = _iterating_async(client, calls.list_recipients)
        self.create = _awaiting(client, calls.create_recipient)
        self.get = _awaiting(client, calls.get_recipient)
        self.update = _awaiting(client, calls.update_recipient)
        self.delete = _awaiting(client, calls.delete_recipient)
        self.import_list = _awaiting(client, list_calls.import_recipients)
        self.get_import = _awaiting(client, list_calls.get_import)
        self.import_rows = _awaiting(client, list_calls.list_import_rows)
        self.iterate_import_rows = _iterating_async(client, list_calls.list_import_rows)
        self.export = _awaiting(client, list_calls.export_recipients)


class Groups:
    """What can be asked about groups."""

    def __init__(self, client: Asking) -> None:
        self.list = _asking(client, calls.list_groups)
        self.iterate = _iterating(client, calls.list_groups)
        self.create = _asking(client, calls.create_group)
        self.get = _asking(client, calls.get_group)
        self.set_members = _asking(client, calls.set_members)
        self.add_members = _asking(client, calls.add_members)
        self.remove_members = _asking(client, calls.remove_members)
        self.delete = _asking(client, calls.delete_group)


class AsyncGroups:
    """As `Groups`, for asyncio."""

    def __init__(self, client: AsyncAsking) -> None:
        self.list = _awaiting(client, calls.list_groups)
        self.iterate = _iterating_async(client, calls.list_groups)
        self.create = _awaiting(client, calls.create_group)
        self.get = _awaiting(client, calls.get_group)
        self.set_members = _awaiting(client, calls.set_members)
        self.add_members = _awaiting(client, calls.add_members)
        self.remove_members = _awaiting(client, calls.remove_members)
        self.delete = _awaiting(client, calls.delete_group)


class Schedules:
    """What can be asked about schedules."""

    def __init__(self, client: Asking) -> None:
        self.list = _asking(client, calls.list_schedules)
        self.iterate = _iterating(client, calls.list_schedules)
        self.create = _asking(client, calls.create_schedule)
        self.get = _asking(client, calls.get_schedule)
        self.cancel = _asking(client, calls.cancel_schedule)
        self.send_now = _asking(client, calls.send_now)
        self.archive = _asking(client, calls.archive_schedule)
        self.delete = _asking(client, calls.delete_schedule)


class AsyncSchedules:
    """As `Schedules`, for asyncio."""

    def __init__(self, client: AsyncAsking) -> None:
        self.list = _awaiting(client, calls.list_schedules)
        self.iterate = _iterating_async(client, calls.list_schedules)
        self.create = _awaiting(client, calls.create_schedule)
        self.get = _awaiting(client, calls.get_schedule)
        self.cancel = _awaiting(client, calls.cancel_schedule)
        self.send_now = _awaiting(client, calls.send_now)
        self.archive = _awaiting(client, calls.archive_schedule)
        self.delete = _awaiting(client, calls.delete_schedule)


class Campaigns:
    """What can be asked about campaigns."""

    def __init__(self, client: Asking) -> None:
        self.export = _asking(client, list_calls.export_campaign)


class Webhooks:
    """What can be asked about webhooks."""

    def __init__(self, client: Asking) -> None:
        self.list = _asking(client, webhook_calls.list_webhooks)
        self.iterate = _iterating(client, webhook_calls.list_webhooks)
        self.create = _asking(client, webhook_calls.create_webhook)
        self.get = _asking(client, webhook_calls.get_webhook)
        self.change = _asking(client, webhook_calls.change_webhook)
        self.test = _asking(client, webhook_calls.test_webhook)
        self.deliveries = _asking(client, webhook_calls.list_deliveries)
        self.iterate_deliveries = _iterating(client, webhook_calls.list_deliveries)
        self.replay = _asking(client, webhook_calls.replay_delivery)
        self.rotate_secret = _asking(client, webhook_calls.rotate_secret)
        self.delete = _asking(client, webhook_calls.delete_webhook)


class AsyncCampaigns:
    """As `Campaigns`, for asyncio."""

    def __init__(self, client: AsyncAsking) -> None:
        self.export = _awaiting(client, list_calls.export_campaign)


class AsyncWebhooks:
    """As `Webhooks`, for asyncio."""

    def __init__(self, client: AsyncAsking) -> None:
        self.list = _awaiting(client, webhook_calls.list_webhooks)
        self.iterate = _iterating_async(client, webhook_calls.list_webhooks)
        self.create = _awaiting(client, webhook_calls.create_webhook)
        self.get = _awaiting(client, webhook_calls.get_webhook)
        self.change = _awaiting(client, webhook_calls.change_webhook)
        self.test = _awaiting(client, webhook_calls.test_webhook)
        self.deliveries = _awaiting(client, webhook_calls.list_deliveries)
        self.iterate_deliveries = _iterating_async(client, webhook_calls.list_deliveries)
        self.replay = _awaiting(client, webhook_calls.replay_delivery)
        self.rotate_secret = _awaiting(client, webhook_calls.rotate_secret)
        self.delete = _awaiting(client, webhook_calls.delete_webhook)
