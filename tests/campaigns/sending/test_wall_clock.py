"""Time zones by name; when their clocks show what is judged in test_hours.py, minute by minute."""

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from campaigns.sending.wall_clock import is_zone, zone_of


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Europe/Berlin", True),
        ("UTC", True),
        ("Europe", False),
        ("", False),
        ("../etc/passwd", False),
        ("CET+1", False),
    ],
)
def test_zones_are_known_by_their_iana_names(name: str, known: bool) -> None:
    assert is_zone(name) is known


def test_a_zone_that_this_machine_does_not_know_is_utc_and_said_once() -> None:
    with capture_logs() as logs:
        assert zone_of("Nowhere/Atlantis") is UTC
        assert zone_of("Nowhere/Atlantis") is UTC
    assert [entry["event"] for entry in logs] == ["time_zone_unknown"]
    assert datetime(2026, 6, 1, tzinfo=zone_of("Europe/Berlin")).isoformat() == "2026-06-01T00:00:00+02:00"
