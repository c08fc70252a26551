"""What may be told of WAHA's answers."""

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.waha.redaction import MAX_LENGTH, redact


def test_numbers_keep_their_last_four_digits() -> None:
    assert redact("no LID found for 447700900123@s.whatsapp.net") == "no LID found for ********0123@s.whatsapp.net"


def test_ports_years_and_codes_stay_readable() -> None:
    line = "2 UNKNOWN: error 463 at 127.0.0.1:3000 in 2026.7.1"
    assert redact(line) == line


def test_base64_is_hidden() -> None:
    assert redact("bad data iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA at 3") == "bad data [hidden] at 3"


def test_what_was_sent_is_hidden_whole_and_line_by_line() -> None:
    text = "Dear Ada\nyour code is 1234"
    assert redact(f"cannot send: {text}!", (text,)) == "cannot send: [hidden]!"
    assert redact("cannot send: Dear Ada", (text,)) == "cannot send: [hidden]"


def test_only_one_line_of_at_most_300_characters_is_told() -> None:
    told = redact("first\n\tsecond " + "x " * 400)
    assert told.startswith("first second x")
    assert len(told) == MAX_LENGTH
    assert told.endswith("…")


def test_short_secrets_do_not_blacken_the_line() -> None:
    assert redact("not ok", ("ok", "")) == "not ok"


LETTERS = st.text(st.characters(categories=["L", "Zs", "Cc"]))


@given(LETTERS, LETTERS, LETTERS)
def test_a_secret_never_comes_through_whole(before: str, secret: str, after: str) -> None:
    line = " ".join(secret.split())
    assume(len(line) >= 4 and line not in "hidden")

    assert line not in redact(before + secret + after, (secret,))


def test_no_line_has_a_character_that_no_database_takes() -> None:
    assert redact("a\x00b") == "a b"
