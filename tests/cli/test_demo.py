"""`gateway demo`: the real process, from the first QR code to the verdict."""

import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.processes import gateway


@pytest.mark.slow
def test_the_demo_loses_nothing_doubles_nothing_and_hurries_nothing(tmp_path: Path) -> None:
    # settings of the place and of the environment are none of its business
    (tmp_path / "config.toml").write_text("this is not even TOML")
    environment = {"GATEWAY_DATABASE__URL": "sqlite:///real.db", "TMPDIR": str(tmp_path), "NO_COLOR": "1"}
    with gateway("demo", "--exit", "--messages", "7", folder=tmp_path, environment=environment) as process:
        status = process.end()

    assert status == 0, process.seen
    assert "accepted 7, lost 0, duplicated 0" in process.seen
    assert "gaps shorter than told: 0" in process.seen
    assert sum("shows a QR code" in line for line in process.seen) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.slow
def test_the_demo_goes_on_serving_until_ctrl_c(tmp_path: Path) -> None:
    with gateway("demo", "--messages", "1", "--senders", "1", folder=tmp_path) as process:
        process.line_with("Ctrl-C ends it")
        process.line_with(r"http://127\.0\.0\.1:\d+/docs")
        process.line_with("admin token")
        process.signal(signal.SIGINT)
        status = process.end(seconds=10)

    assert status == 0


@pytest.mark.slow
def test_the_demo_tells_the_fate_of_every_row_of_a_contact_list(run: Run, folder: Path) -> None:
    (folder / "list.csv").write_text(
        "name;mobile\nAda;06 39 98 00 01\nBob;+33 639980002\nAda again;0639980001\n;\nCy;hello\n", encoding="utf-8-sig"
    )

    ended = run("demo", "--exit", "--recipients", "list.csv", "--region", "FR", "--senders", "1")

    assert ended.status == 0, ended
    assert "accepted 2, lost 0, duplicated 0" in ended.out.splitlines()
    assert "5 rows: 2 unique numbers, 1 duplicates, 1 not numbers, 1 blank" in ended.out
    assert "the number stands in an earlier row: line 4" in ended.out
    assert "the row is empty: line 5" in ended.out


def test_a_contact_list_without_anybody_is_one_line(run: Run, folder: Path) -> None:
    (folder / "list.csv").write_text("name,phone\nAda,\n")

    ended = run("demo", "--exit", "--recipients", "list.csv")

    assert ended.status == 1
    assert ended.failure == "gateway: list.csv: there is nobody in it to write to"
