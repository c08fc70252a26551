"""What `schedules` says of the times it took."""

import pytest

from bench.schedules import Begun, Found, figures


def test_figures_tell_the_slowest_lists_and_how_late_the_latest_began() -> None:
    found = Found(
        start_empty=1.0,
        start=3.5,
        times={"all": [0.010] * 19 + [0.060], "status": [0.020] * 20},
        totals={"all": (100, 100), "status": (99, 100)},
        begun=[Begun(10.0, 10.25, 10.5), Begun(20.0, 19.75, 21.5)],
        load=0.5,
    )
    told = {figure.name: figure for figure in figures(found)}
    assert not told["start-up"].met
    assert told["lists that count otherwise"].value == 1
    assert told["all, p50"].value == pytest.approx(10)
    assert told["all, p95"].value == pytest.approx(60)
    assert not told["all, p95"].met
    assert told["status, p95"].met
    assert told["begun too early"].value == 1
    assert told["begins after its time, max"].value == pytest.approx(0.25)
    assert not told["first message after its time, max"].met
