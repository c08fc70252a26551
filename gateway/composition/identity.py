"""Who is who, and who asks how often: users, logins, credentials and the meter of their requests."""

from dataclasses import dataclass

from gateway.auth.access import Access
from gateway.auth.access_tokens import AccessTokens
from gateway.auth.logins import LoginLimits, Logins
from gateway.auth.passwords import Passwords
from gateway.auth.users import Users
from gateway.clock import Clock
from gateway.db import Database
from gateway.limits.meter import READS, SCHEDULES, WRITES, Meter
from gateway.limits.windows import DatabaseWindows, MemoryWindows, RedisWindows, Windows
from gateway.settings import LimitsSettings, Settings
from gateway.vault import Vault, read_or_create_admin_token


@dataclass(frozen=True, slots=True)
class Identity:
    """Users, their passwords, the tokens of their logins, and the one place that decides who is calling."""

    passwords: Passwords
    access_tokens: AccessTokens
    users: Users
    logins: Logins
    access: Access
    admin_token: str


def build_identity(settings: Settings, db: Database, vault: Vault, meter: Meter) -> Identity:
    """The parts that know callers.

    Raises:
        VaultError: the data folder cannot be used.
    """
    auth, limits, passwords = settings.auth, settings.limits, Passwords()
    access_tokens = AccessTokens(db, vault, auth.jwt_secret.get_secret_value(), seconds=auth.access_token_seconds)
    per_minute = LoginLimits(limits.logins_per_minute, limits.logins_per_minute_per_address)
    logins = Logins(db, passwords, access_tokens, meter, per_minute, refresh_days=auth.refresh_token_days)
    admin_token = auth.admin_token.get_secret_value() or read_or_create_admin_token(settings.database.data_folder)
    access = Access(
        db,
        admin_token,
        logins,
        meter,
        open_mode=auth.user_access == "open",
        pairings_per_minute=limits.pairings_per_minute,
    )
    return Identity(passwords, access_tokens, Users(db, passwords), logins, access, admin_token)


def build_windows(limits: LimitsSettings, db: Database, clock: Clock) -> Windows:
    """Where requests are counted: where it was said, or else where all replicas find it."""
    if limits.storage_url.startswith("redis"):
        return RedisWindows(limits.storage_url)
    return MemoryWindows(clock) if db.is_sqlite or limits.storage_url else DatabaseWindows(db)


def build_meter(limits: LimitsSettings, windows: Windows, clock: Clock) -> Meter:
    """What counts requests."""
    per_minute = {
        READS: limits.reads_per_minute,
        WRITES: limits.writes_per_minute,
        SCHEDULES: limits.schedules_per_minute,
    }
    return Meter(windows, clock, per_minute)
