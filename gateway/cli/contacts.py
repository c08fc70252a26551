"""A contact file as a command uses it: who is written to, with which values, and what became of every other row."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from campaigns.audience.contact_file import ContactRow, read_contacts
from campaigns.sending.rendering import TemplateSyntaxError, fold_name, parse_template
from gateway.cli.failures import CommandFailed
from gateway.phone import PhoneNumber

MAX_LINES_TOLD = 150
_FATES = {"duplicate": "duplicates", "invalid": "not numbers", "blank": "blank"}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a file that nobody is written to for, of one fate: their lines, by the reason."""

    fate: str
    lines: dict[str, list[int]]

    @property
    def count(self) -> int:
        """How many rows these are."""
        return sum(map(len, self.lines.values()))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to write to: the line in the file, the number, and the values that the template uses."""

    line: int
    phone: PhoneNumber
    variables: dict[str, str]


@dataclass(frozen=True, slots=True)
class Contacts:
    """Who is written to, and the rows that are left out."""

    people: list[Person]
    left_out: list[LeftOut]

    def body(self) -> list[dict[str, Any]]:
        """The `recipients` of a request."""
        return [{"phone": person.phone.e164, "variables": person.variables} for person in self.people]

    def summary(self) -> str:
        """The counts, on one line; they add up to the rows of the file."""
        rows = len(self.people) + sum(part.count for part in self.left_out)
        told = ", ".join(f"{part.count:,} {_FATES[part.fate]}" for part in self.left_out)
        return f"{rows:,} rows: {len(self.people):,} unique numbers" + (f", {told}" if told else "")

    def lines_left_out(self) -> list[str]:
        """For each reason one line that names the lines of the file."""
        return [f"{reason}: {name_lines(lines)}" for part in self.left_out for reason, lines in part.lines.items()]


def read_contact_file(path: Path, template: str, *, region: str = "", strict: bool = False) -> Contacts:
    """Read a contact file for a campaign with this template; columns that it does not use are left behind.

    Raises:
        CommandFailed: the file or the template cannot be read; the message says why.
    """
    try:
        wanted = {fold_name(name) for name in parse_template(template).variables}
        with read_contacts(path, default_region=region, strict=strict) as rows:
            return _sort(rows, lambda name: fold_name(name) in wanted)
    except TemplateSyntaxError as error:
        raise CommandFailed(f"the template: {error}") from error
    except OSError as error:
        raise CommandFailed(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # a ContactFileError, or a region that does not exist
        raise CommandFailed(f"{path}: {error}") from error


def _sort(rows: Iterable[ContactRow], used: Callable[[str], bool]) -> Contacts:
    people: list[Person] = []
    left: dict[str, dict[str, list[int]]] = {fate: defaultdict(list) for fate in _FATES}
    for row in rows:
        if row.fate == "ok" and row.phone is not None:
            variables = {name: value for name, value in row.variables.items() if used(name)}
            people.append(Person(row.line, row.phone, variables))
        else:
            reason = "the number stands in an earlier row" if row.fate == "duplicate" else row.reason
            left[row.fate][reason].append(row.line)
    return Contacts(people, [LeftOut(fate, dict(lines)) for fate, lines in left.items() if lines])


def name_lines(lines: list[int]) -> str:
    """Lines as a person names them: "line 7", or "lines 3, 7-9 and 20 more"."""
    told, more = lines[:MAX_LINES_TOLD], len(lines) - MAX_LINES_TOLD
    runs: list[str] = []
    for _, run in groupby(enumerate(told), key=lambda pair: pair[1] - pair[0]):
        numbers = [line for _, line in run]
        runs.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}")
    word = "line" if len(lines) == 1 else "lines"
    return f"{word} {', '.join(runs)}" + (f" and {more:,} more" if more > 0 else "")
