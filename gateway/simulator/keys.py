"""API keys: the admin's, and those made at `/api/keys`, which may be bound to one session."""

import random
from dataclasses import dataclass
from typing import Any

from gateway.simulator.errors import JsonObject, not_found
from gateway.simulator.ids import make_ulid


@dataclass(slots=True)
class ApiKey:
    """One key; `session` None reaches every session, `admin` may do everything."""

    id: str
    key: str
    admin: bool
    session: str | None
    active: bool
    actions: dict[str, Any] | None

    def to_json(self) -> JsonObject:
        """WAHA's ApiKeyDTO."""
        return {
            "id": self.id,
            "key": self.key,
            "isActive": self.active,
            "isAdmin": self.admin,
            "session": self.session,
            "actions": self.actions,
        }

    def reaches(self, session: str) -> bool:
        """Whether this key may touch that session."""
        return self.admin or self.session in (None, session)


class KeyRing:
    """Who may call; with an empty admin key everybody is the admin."""

    def __init__(self, admin_key: str, rng: random.Random) -> None:
        self._rng = rng
        self._admin = ApiKey("key_id_admin", admin_key, admin=True, session=None, active=True, actions=None)
        self._keys: dict[str, ApiKey] = {}

    def find(self, given: str) -> ApiKey | None:
        """The key that was sent, None when it is wrong or asleep."""
        if self._admin.key in ("", given):
            return self._admin
        return next((key for key in self._keys.values() if key.active and key.key == given), None)

    def all(self) -> list[ApiKey]:
        """The keys that were made, oldest first."""
        return list(self._keys.values())

    def make(self, body: JsonObject, now_ms: int) -> ApiKey:
        """A new key as the request says."""
        ulid = make_ulid(now_ms, self._rng).upper()
        key = ApiKey(
            f"key_id_{ulid}",
            f"key_{self._rng.getrandbits(160):040x}",
            admin=bool(body.get("isAdmin")),
            session=body.get("session"),
            active=body.get("isActive") is not False,
            actions=body.get("actions"),
        )
        self._keys[key.id] = key
        return key

    def drop(self, key_id: str) -> None:
        """Forget a key; 404 when there is none of that id."""
        if self._keys.pop(key_id, None) is None:
            raise not_found("API key not found")
