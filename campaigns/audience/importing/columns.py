"""What the columns of a list become in a recipient: the name, variables, or nothing. Pure.

A column's name decides, as with the phone column (`contact_columns.py`), unless whoever imports says otherwise. The
file that this gateway exports is known by its columns and comes back as it was.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from campaigns.audience.contact_file import ContactFileError
from campaigns.audience.exporting import COLUMNS
from campaigns.audience.variables import GivenVariable, check_variables
from campaigns.sending.rendering import Value
from gateway.http.csv_stream import FORMULA_SIGNS

PHONE, NAME = "phone", "name"
"""What a column can be said to be; anything else is the name of a variable, and nothing leaves it out."""

_WHOLE_NAMES = """
    name fullname contactname contact customer customername client clientname displayname nom nomcomplet nombre
    nombrecompleto nome nomecompleto naam namen navn imię imięinazwisko isim adsoyad имя фио имяифамилия الاسم
    الاسمالكامل שם नाम 姓名 名前 氏名 이름
"""
_FIRST_NAMES = "firstname first givenname forename prenom primernombre vorname voornaam fornavn förnamn الاسمالأول"
_LAST_NAMES = "lastname last surname familyname apellido apellidos sobrenome cognome nachname achternaam фамилия"


@dataclass(frozen=True, slots=True)
class Plan:
    """All columns; those that make up a recipient's name, in order; and those that are variables, with their names."""

    columns: tuple[str, ...]
    name: tuple[str, ...]
    variables: Mapping[str, str]
    is_export: bool

    def read_name(self, cells: Mapping[str, str]) -> str:
        """The name in a row; empty where it has none."""
        parts = [self._plain(cells.get(column, "")) for column in self.name]
        return " ".join(" ".join(part for part in parts if part).split())

    def read_variables(self, cells: Mapping[str, str]) -> dict[str, Value]:
        """The values in a row; empty cells say nothing. Cells beyond the columns have the names of their places."""
        values: dict[str, Value] = {}
        for column, cell in cells.items():
            variable = self.variables.get(column) if column in self.columns else column
            if self.is_export and column == "variables":
                values |= _exported(cell)
            elif variable and cell:
                values[variable] = cell
        return values

    def _plain(self, cell: str) -> str:
        """A cell of our own export without the apostrophe that keeps spreadsheets from calculating it."""
        if self.is_export and cell.startswith("'") and cell[1:].startswith(FORMULA_SIGNS):
            return cell[1:]
        return cell


def plan_columns(names: tuple[str, ...], phone: str, said: Mapping[str, str | None]) -> Plan:
    """What to do with the columns of these names, of which `phone` is the number's, and some are said to be something.

    Raises:
        ContactFileError: one of those is not there, or a variable cannot have its name; says which.
    """
    known = {_plain(name): name for name in names}
    missing = [name for name in said if _plain(name) not in known]
    if missing:
        raise ContactFileError(f"there is no column {missing[0][:100]!r} (columns: {', '.join(names[:10])[:300]})")
    roles = {known[_plain(name)]: (role or "").strip() for name, role in said.items()}
    free = [name for name in names if name != phone and name not in roles]
    name_columns = tuple(name for name in names if roles.get(name) == NAME) or _guess_name(free)
    variables = {name: name for name in free if name not in name_columns or _folded(name) not in _WHOLE}
    variables |= {name: role for name, role in roles.items() if role and role not in (NAME, PHONE)}
    is_export = names == COLUMNS and not said
    if is_export:
        variables = {}
    _check_names(variables)
    return Plan(names, name_columns, variables, is_export)


def _guess_name(columns: list[str]) -> tuple[str, ...]:
    """The column of whole names, or those of first and last names."""
    folded = {_folded(column): column for column in reversed(columns)}
    for whole in _WHOLE:
        if whole in folded:
            return (folded[whole],)
    halves = [next((folded[name] for name in half if name in folded), None) for half in (_FIRST, _LAST)]
    return tuple(column for column in halves if column is not None)


def _check_names(variables: Mapping[str, str]) -> None:
    errors = check_variables([GivenVariable(column, name, "") for column, name in variables.items()])
    if errors:
        wrong = errors[0]
        raise ContactFileError(f"the column {wrong.field!r} {wrong.message}: say in `columns` what it is, or null")


def _exported(cell: str) -> dict[str, Value]:
    """The variables that our export wrote as JSON; where somebody has made something else of it, that text."""
    try:
        found = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return {"variables": cell} if cell else {}
    if isinstance(found, dict) and all(isinstance(one, str | int | float | bool | None) for one in found.values()):
        return found
    return {"variables": cell}


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _folded(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in letters if char.isalnum())


_WHOLE, _FIRST, _LAST = (
    tuple(_folded(name) for name in names.split()) for names in (_WHOLE_NAMES, _FIRST_NAMES, _LAST_NAMES)
)
