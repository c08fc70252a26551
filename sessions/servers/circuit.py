"""When a server that fails is asked again, what is wrong with it, and whether it has been restarted. Pure."""

from gateway.waha.errors import WahaConnectionLost, WahaError, WahaTimeout, WahaUnauthorized, WahaUnreachable

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
RESTART_TOLERANCE_SECONDS = 5.0
"""WAHA computes its start time from its uptime, and clocks are set: so much is no restart."""
ERROR_LENGTH = 300


def pause_after(failures: int, chance: float) -> float:
    """Seconds until a server is asked again after so many failures in a row (at least 1).

    They double up to a minute. `chance` (0 to 1) takes off up to a half, so that many do not come at once.
    """
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest * (1.0 - chance / 2)


def start_time(known: float | None, earliest: float, latest: float) -> tuple[float, bool]:
    """When a server's process started, and whether that is a restart.

    Its answer says that it started between `earliest` and `latest`: a slow answer only makes that wider. Within that a
    known time stays as it is, and a little outside it is drawn in, so that clocks which drift never add up.
    """
    if known is None:
        return latest, False
    if earliest - RESTART_TOLERANCE_SECONDS <= known <= latest + RESTART_TOLERANCE_SECONDS:
        return min(max(known, earliest), latest), False
    return latest, True


def describe_failure(error: WahaError) -> str:
    """What is wrong with a server that answered so, for the operator."""
    if isinstance(error, WahaUnauthorized):
        text = f"it does not take our API key: {error}"
    elif isinstance(error, WahaUnreachable | WahaConnectionLost | WahaTimeout):
        text = str(error)
    else:
        text = f"it does not answer as a WAHA: {error}"
    return text[:ERROR_LENGTH]
