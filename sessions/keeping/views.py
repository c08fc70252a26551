"""From a stored session and WAHA's word on it to the view that is decided upon, and whether there is one at all.

A sweep asks about every session, so what is well must cost next to nothing: configurations are compared only where
they are not the ones that were found well before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.db import AnyRow
from gateway.waha.schemas import JsonObject, SessionInfo, WahaStatus
from sessions.keeping.decisions import Drift, View
from sessions.lifecycle import has_drifted
from sessions.models import Desired, SessionState
from sessions.news.state_writer import MISSING

_NEVER_HEARD = ("", MISSING)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a decision must know about the session's server."""

    engine: str
    young: bool
    others_work: bool


class Viewer:
    """Makes views of sessions, and remembers which configurations at WAHA were well."""

    def __init__(self, wanted_config: Callable[[AnyRow], Mapping[str, Any]]) -> None:
        self._wanted_config = wanted_config
        self._well: dict[int, tuple[str, JsonObject]] = {}

    def is_well(self, row: AnyRow, info: SessionInfo | None) -> bool:
        """Whether there is surely nothing to decide: the cheap look that nearly all sessions of a sweep end at."""
        return (
            info is not None
            and info.status is WahaStatus.WORKING
            and row.state == SessionState.CONNECTED
            and row.desired == Desired.RUNNING
            and not row.repairs
            and not row.rejections
            and row.moving_to is None
            and self._drift_of(row, info.config) is Drift.NONE
        )

    def look(self, row: AnyRow, info: SessionInfo | None, around: Surroundings, now: float) -> View:
        """The view of one session; `info` is None where its server does not know it."""
        working = info is not None and info.status is WahaStatus.WORKING
        return View(
            desired=Desired(row.desired),
            state=SessionState(row.state),
            state_at=row.state_at,
            waha=info.status if info is not None else None,
            since=row.status_at if _is_known(row, info) else now,
            engine=around.engine,
            paired=row.paired_at is not None,
            requires_auth=row.requires_auth,
            pairing_until=row.pairing_until,
            moving=row.moving_to is not None,
            repairs=row.repairs,
            repair_at=row.repair_at,
            repaired_at=row.repaired_at,
            rejections=row.rejections,
            drift=self._drift_of(row, info.config) if working and info is not None else Drift.NONE,
            configured_at=row.configured_at,
            young=around.young,
            others_work=around.others_work,
        )

    def _drift_of(self, row: AnyRow, config: JsonObject) -> Drift:
        known = (row.server_id, config)
        if self._well.get(row.sender_id) == known:
            return Drift.NONE
        wanted = self._wanted_config(row)
        if "webhooks" in wanted and has_drifted(config.get("webhooks"), wanted["webhooks"]):
            return Drift.WEBHOOK
        if has_drifted(config, wanted):
            return Drift.CONFIG
        self._well[row.sender_id] = known
        return Drift.NONE


def is_busy(row: AnyRow, now: float) -> bool:
    """Whether somebody is at work on the session."""
    return row.busy_by is not None and row.busy_until > now


def _is_known(row: AnyRow, info: SessionInfo | None) -> bool:
    """Whether what WAHA says now is what was stored; else it has just begun."""
    return row.waha_status in _NEVER_HEARD if info is None else bool(row.waha_status == info.status)
