"""What older versions of WAHA did otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Habits:
    """How a version differs from the newest one.

    `refuses_running`: `start` of a running session, FAILED ones too, is a 422. `hang_ends_autostart`: one session
    that hangs at boot leaves the rest STOPPED. `failed_delete_crashes`: deleting a FAILED session of GOWS ends the
    process.
    """

    refuses_running: bool
    hang_ends_autostart: bool
    failed_delete_crashes: bool


def habits_of(version: str) -> Habits:
    """The habits of a version such as `2026.7.1`; ValueError when it is not written so."""
    number = tuple(int(part) for part in version.split("."))
    return Habits(
        refuses_running=number < (2026, 6, 1),
        hang_ends_autostart=number < (2026, 7, 2),
        failed_delete_crashes=number < (2026, 1, 1),
    )
