"""Numbers of benchmarks: each once, and all from ranges that are reserved for fiction."""

import re

import pytest

from bench.numbers import RECIPIENTS, SENDERS, recipient_number, sender_number
from gateway.phone import read_phone

RESERVED = re.compile(r"1[2-9]\d\d55501\d\d|33(?:19900|26191|35301|46571|53649|63998)\d{4}")


def test_there_are_enough_recipients_for_the_biggest_submission_and_each_is_another_one() -> None:
    numbers = {recipient_number(index) for index in range(RECIPIENTS)}
    assert len(numbers) == RECIPIENTS >= 100_000
    assert [number for number in numbers if not RESERVED.fullmatch(number)] == []


def test_senders_are_drama_numbers_and_no_recipients() -> None:
    assert {sender_number(index)[:9] for index in range(SENDERS)} == {"447700900"}


def test_the_product_reads_them_as_they_are_and_knows_their_plans() -> None:
    some = [recipient_number(index) for index in range(0, RECIPIENTS, 997)]
    read = [read_phone(f"+{number}") for number in some]
    assert [phone.digits for phone in read] == some
    assert {phone.grade for phone in read} <= {"valid", "possible"}


def test_there_are_no_more() -> None:
    with pytest.raises(ValueError, match="recipients"):
        recipient_number(RECIPIENTS)
    with pytest.raises(ValueError, match="senders"):
        sender_number(-1)
