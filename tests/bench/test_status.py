"""What `status` says of the times it took."""

import pytest

from bench.status import figures


def test_ratios_are_of_the_same_quantile_and_a_slow_page_at_the_end_is_only_told() -> None:
    fast, slow = [0.001] * 20, [0.002] * 19 + [0.004]
    found = {figure.name: figure for figure in figures({"status": (slow, fast), "last page": (slow, fast)})}
    assert found["status, p50 ratio"].value == pytest.approx(2.0)
    assert found["status, p95 ratio"].value == pytest.approx(4.0)
    assert found["status, p50 long"].value == pytest.approx(2.0)
    assert not found["status, p50 ratio"].met
    assert found["last page, p50 ratio"].met
