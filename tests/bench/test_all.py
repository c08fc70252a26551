"""Running all benchmarks: which, and what becomes of one that fails."""

import pytest

from bench.all import PARTS, Part, choose, run_part
from bench.options import BadOption

NAMES = {
    "dispatch",
    "pacing",
    "delays",
    "growth",
    "submit",
    "status",
    "schedules",
    "console",
    "receipts",
    "inbox",
    "crash",
    "scaling",
    "replicas",
}


def test_all_is_every_number_that_we_hold_ourselves_to() -> None:
    assert {part.name for part in choose(None, without_postgres=False)} == NAMES
    assert len({part.title for part in PARTS}) == len(PARTS)


def test_some_can_be_chosen_and_postgresql_left_out() -> None:
    assert [part.title for part in choose("pacing,replicas", without_postgres=True)] == ["pacing sqlite"]
    with pytest.raises(BadOption, match="there is no lunch"):
        choose("pacing,lunch", without_postgres=False)


def test_a_part_that_fails_is_a_goal_that_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_part(Part("dispatch", (), ("--senders", "0")), short=False)
    assert not report.met
    assert report.verdict == "exit status 2, MISSED (goal = 0)"
    assert "--senders" in capsys.readouterr().err
