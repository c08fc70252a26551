"""What `crash` says of the lives of a gateway and of its files."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench.crash import EARLY_SECONDS, MESSAGE_DELAY, Life, Run, enough_messages, figures, first_sends, is_damaged
from gateway.demo.audit import audit


def transmission(at: float, chat: str, session: str = "447700900000") -> dict[str, object]:
    """A message that WhatsApp took at once."""
    return {"received_at": at, "time": at, "answered_at": at, "session": session, "chat_id": f"{chat}@c.us"}


def test_the_first_send_of_each_life_counts_from_its_spawning() -> None:
    lives = [Life(10.0, 15.0), Life(15.5, 19.0)]
    assert first_sends(lives, [3.0, 12.0, 13.0, 17.5, 18.0], 3.0) == [2.0, 2.0]


def test_a_short_life_without_a_send_says_nothing_and_a_long_one_is_told_by_its_length() -> None:
    lives = [Life(10.0, 12.0), Life(20.0, 24.5)]
    assert first_sends(lives, [12.5, 30.0], 3.0) == [4.5]


def test_a_message_that_was_lost_one_that_came_twice_and_a_slow_start_miss_their_goals() -> None:
    sent = [transmission(1.0, "12025550100"), transmission(14.0, "12025550100")]
    done = Run([Life(0.0, 9.0), Life(10.0, float("inf"))], 1, {"total": 2, "sent": 1}, sent)
    verdict = audit(sent, ["12025550100", "12025550101"], message_delay=MESSAGE_DELAY, switch_delay=0)
    found = {figure.name: figure for figure in figures(done, verdict)}
    missed = {name: figure.value for name, figure in found.items() if not figure.met}
    assert missed == {
        "lost": 1,
        "duplicated": 1,
        "first send after a restart, max": 4.0,
        "damaged databases": 1,
        "not told as sent in the end": 1,
    }


def test_there_is_work_for_all_lives() -> None:
    assert enough_messages([1.0, 2.0], 10) >= 10 * (3.0 + 2 * EARLY_SECONDS) / MESSAGE_DELAY


@pytest.mark.parametrize("damage", [b"", b"x" * 2000])
def test_a_damaged_file_is_noticed(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "gateway.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO message (text) VALUES (?)", [("a" * 100,)] * 500)
    content = path.read_bytes()
    path.write_bytes(content[:8192] + damage + content[8192 + len(damage) :])
    assert is_damaged(path) == bool(damage)
