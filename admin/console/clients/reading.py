"""Forms about clients as the API takes them: what is no number stays as it was written, and the API says so."""

import re
from typing import Annotated, Any

from fastapi import Form
from pydantic import BaseModel

Text = Annotated[str, Form(max_length=2000)]


class ClientForm(BaseModel):
    """What the forms to make and to change a client ask for."""

    name: str = ""
    senders: str = ""
    daily_limit: str = ""
    messages_per_minute: str = ""
    balance: str = ""
    price: str = ""
    currency: str = ""
    timezone: str = ""
    disabled: bool = False


class KeyForm(BaseModel):
    """What the form to make a key asks for; `expires_at` is a minute in UTC."""

    name: str = ""
    scopes: list[str] = []
    expires_at: str = ""


def as_form(client: dict[str, Any]) -> dict[str, Any]:
    """A client as its form shows it."""
    shown = {name: client[name] for name in ("name", "price", "currency", "timezone", "disabled")}
    limits = {name: client[name] for name in ("daily_limit", "messages_per_minute")}
    return (
        shown
        | {name: "" if value is None else str(value) for name, value in limits.items()}
        | {"senders": "\n".join(client["senders"])}
    )


def new_client(form: ClientForm) -> dict[str, Any]:
    """A new client; what was left out is not said."""
    amounts = {name: getattr(form, name).strip() for name in ("balance", "price", "timezone")}
    body = {name: value for name, value in amounts.items() if value}
    if currency := form.currency.strip():
        body["currency"] = currency.upper()
    return _common(form) | body


def changed_client(form: ClientForm) -> dict[str, Any]:
    """All that can be changed of a client."""
    return _common(form) | {
        "price": form.price.strip(),
        "timezone": form.timezone.strip(),
        "disabled": form.disabled,
    }


def new_key(form: KeyForm) -> dict[str, Any]:
    """A new key."""
    ends = form.expires_at.strip()
    return {"name": form.name.strip(), "scopes": form.scopes, "expires_at": f"{ends}Z" if ends else None}


def _common(form: ClientForm) -> dict[str, Any]:
    return {
        "name": form.name,
        "senders": [one for one in (part.strip() for part in re.split(r"[\n,;]", form.senders)) if one],
        "daily_limit": _whole(form.daily_limit),
        "messages_per_minute": _whole(form.messages_per_minute),
    }


def _whole(text: str) -> int | str | None:
    """A whole number; None for nothing."""
    plain = text.strip()
    return int(plain) if re.fullmatch(r"-?\d{1,18}", plain, re.ASCII) else plain or None
