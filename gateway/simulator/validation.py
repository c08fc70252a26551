"""The checks of the few bodies that WAHA validates, in the words of its validator."""

import re
from typing import Any

from gateway.simulator.errors import JsonObject, bad_request

NAME = re.compile(r"[a-zA-Z0-9_-]*")
NAME_LENGTH = 54
POLICIES = ("linear", "exponential", "constant")


def check_session_body(body: JsonObject) -> None:
    """400 with every complaint about the body of a create or update."""
    complaints = [
        *_about_name(body.get("name")),
        *_about_type(body, "start", bool, "start must be a boolean value"),
        *_about_type(body, "config", dict, "config must be an object"),
    ]
    config = body.get("config")
    if isinstance(config, dict):
        complaints += _about_type(config, "metadata", dict, "config.metadata must be an object")
        complaints += _about_webhooks(config.get("webhooks"))
    if complaints:
        raise bad_request(complaints)


def _about_name(name: object) -> list[str]:
    if name is None:
        return []
    if not isinstance(name, str):
        return ["name must be a string"]
    complaints = []
    if NAME.fullmatch(name) is None:
        complaints.append("name must match /^[a-zA-Z0-9_-]*$/ regular expression")
    if len(name) > NAME_LENGTH:
        complaints.append(f"name must be shorter than or equal to {NAME_LENGTH} characters")
    return complaints


def _about_type(body: JsonObject, field: str, kind: type, complaint: str) -> list[str]:
    value = body.get(field)
    return [] if value is None or isinstance(value, kind) else [complaint]


def _about_webhooks(hooks: Any) -> list[str]:
    if hooks is None:
        return []
    if not isinstance(hooks, list):
        return ["config.webhooks must be an array"]
    complaints = []
    for index, hook in enumerate(hooks):
        where = f"config.webhooks.{index}"
        if not isinstance(hook, dict):
            complaints.append(f"{where} must be an object")
            continue
        if not str(hook.get("url", "")).startswith(("http://", "https://")):
            complaints.append(f"{where}.url must be a URL address")
        if not isinstance(hook.get("events"), list):
            complaints.append(f"{where}.events must be an array")
        if (hook.get("retries") or {}).get("policy") not in (None, *POLICIES):
            complaints.append(f"{where}.retries.policy must be one of: {', '.join(POLICIES)}")
    return complaints
