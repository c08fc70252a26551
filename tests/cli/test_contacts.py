"""A contact file as commands use it."""

from pathlib import Path

import pytest

from gateway.cli.contacts import MAX_LINES_TOLD, name_lines, read_contact_file
from gateway.cli.failures import CommandFailed

SHARED = Path(__file__).parents[3] / "shared" / "data" / "contacts.csv"


@pytest.mark.skipif(not SHARED.exists(), reason="the contact list of 1,200 rows is not here")
def test_every_row_of_a_long_list_is_accounted_for() -> None:
    contacts = read_contact_file(SHARED, "Hi {{name}}", region="FR")

    assert contacts.summary() == "1,200 rows: 1,044 unique numbers, 100 duplicates, 33 not numbers, 23 blank"


def test_columns_that_the_template_uses_become_variables_and_the_others_stay_behind(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("First Name,phone,notes\nAda,+33639980001,private\n")

    contacts = read_contact_file(path, "Hi {{ first  name | you }}")

    assert contacts.body() == [{"phone": "+33639980001", "variables": {"First Name": "Ada"}}]
    assert contacts.people[0].line == 2


def test_rows_that_are_left_out_are_named_by_reason_and_line(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone\n+33639980001\n12\nx7\n13\n+33 639 980 001\n")

    contacts = read_contact_file(path, "Hi")

    assert contacts.lines_left_out() == [
        "the number stands in an earlier row: line 6",
        "it has too few digits: 2, at least 7 are needed: lines 3, 5",
        "there are letters in it: line 4",
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([7], "line 7"),
        ([3, 7], "lines 3, 7"),
        ([3, 4, 5, 9], "lines 3-5, 9"),
        (list(range(2, 2 + 2 * MAX_LINES_TOLD, 2)), None),
    ],
)
def test_lines_are_named_as_a_person_would(lines: list[int], told: str | None) -> None:
    assert name_lines(lines) == (told or "lines " + ", ".join(map(str, lines)))


def test_too_many_lines_are_counted() -> None:
    assert name_lines(list(range(1, MAX_LINES_TOLD + 6))) == f"lines 1-{MAX_LINES_TOLD} and 5 more"


@pytest.mark.parametrize(
    ("content", "template", "region", "message"),
    [
        (None, "Hi", "", "list.csv: cannot be read (No such file or directory)"),
        (b"", "Hi", "", "the file is empty"),
        (b"PK\x03\x04 and more", "Hi", "", "spreadsheet workbook"),
        (b"phone\n0639980001\n", "Hi", "XX", "'XX' is not a region"),
        (b"phone\n0639980001\n", "Hi {{name", "", "the template: {{ without }} after it"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, content: bytes | None, template: str, region: str, message: str
) -> None:
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CommandFailed) as failed:
        read_contact_file(path, template, region=region)

    assert message in str(failed.value)
