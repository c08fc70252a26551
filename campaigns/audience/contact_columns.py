"""What the columns of a contact list are: guessed from its first rows, by the names people give them.

Pure: takes cells, returns a `Layout`. A column is the phone column because its name says so; where no name does,
because what stands in it are numbers.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

EXPORTED_RECIPIENTS = ("name", "phone", "groups", "variables")
EXPORTED_MESSAGES = (
    "message_id",
    "recipient",
    "status",
    "sender_number",
    "text",
    "attempts",
    "sent_at",
    "delivered_at",
    "read_at",
    "error_code",
    "error",
)
"""The columns of our own exports. In these files numbers are bare digits, country code first, in every region."""

DELIMITERS = (",", ";", "\t", "|")

_WHATSAPP = "whatsapp whatsappnumber whatsappno wa waid numerowhatsapp numerodewhatsapp"
_MOBILE = """
    mobile mobilenumber mobileno mobilephone mobilephonenumber cell cellphone cellnumber cellular msisdn gsm portable
    mobil handy handynummer movil celular telemovel cellulare ceptelefonu hp nohp мобильный мобильныйтелефон الجوال جوال
    الموبايل موبايل נייד 手机 手机号 携帯
"""
_PHONE = """
    phone phonenumber phoneno phones tel telno telephone telephonenumber numerodetelephone numtel telefon telefonnummer
    telefono numerodetelefono telefone numerodetelefone numeroditelefono telefoon telefoonnummer telefonnumarasi
    numertelefonu puhelin телефон номертелефона الهاتف هاتف رقمالهاتف טלפון फोन 电话 電話 전화번호
"""
_NUMBER = "number no num numero nummer numara numer nomor номер رقم recipient recipients contact to"
_STEMS = "whatsapp mobil phone cellul celular movil telef телефон هاتف"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: `phone` is the index of its column; `names` has one name per column."""

    phone: int
    names: tuple[str, ...]
    has_header: bool

    @property
    def is_ours(self) -> bool:
        """Whether it is that of a file which we have exported."""
        return self.names in (EXPORTED_RECIPIENTS, EXPORTED_MESSAGES)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of all columns but the phone's."""
        return tuple(name for index, name in enumerate(self.names) if index != self.phone)


def guess_delimiter(lines: Sequence[str]) -> str:
    """The sign that cuts these lines into the same number of cells most often; a comma if nothing is cut."""

    def regularity(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in rows_of(lines, delimiter) if len(row) > 1)
        return max(((count, width) for width, count in widths.items()), default=(0, 0))

    return max(DELIMITERS, key=regularity)


def guess_layout(rows: Sequence[Sequence[str]], likeness: Callable[[str], int]) -> Layout | None:
    """The layout of a list that begins with these rows (none of them empty), or None if no column has numbers.

    `likeness` tells how much a cell is a phone number: 0 not at all, 1 some digits, 2 a number of a known plan.
    """
    if not rows:
        return None
    width = max(map(len, rows))
    in_first_row = max(map(likeness, rows[0]), default=0)
    named = _named_column(rows[0], rows[1:], likeness) if in_first_row < 2 else None
    if named is not None:
        return Layout(named, name_columns(rows[0], width), has_header=True)
    if in_first_row:
        phone = max(range(width), key=lambda index: _likeness_of_column(rows, index, likeness))
        return Layout(phone, name_columns((), width), has_header=False)
    by_content = [index for index in range(width) if _is_mostly_numbers(rows[1:], index, likeness)]
    if len(by_content) != 1:  # none, or a choice that is not ours to make
        return None
    return Layout(by_content[0], name_columns(rows[0], width), has_header=True)


def layout_with_phone(rows: Sequence[Sequence[str]], phone: str, likeness: Callable[[str], int]) -> Layout | None:
    """The layout of a list of which somebody says which column is the phone column; None if there is no such column."""
    has_header = max(map(likeness, rows[0]), default=0) < 2
    names = name_columns(rows[0] if has_header else (), max(map(len, rows)))
    wanted = " ".join(phone.split()).casefold()
    found = [index for index, name in enumerate(names) if name.casefold() == wanted]
    return Layout(found[0], names, has_header) if found else None


def name_columns(header: Sequence[str], width: int) -> tuple[str, ...]:
    """The header's names, trimmed; nameless columns are called "column 2", repeated names get a number."""
    names: list[str] = []
    taken: set[str] = set()
    for index in range(max(width, len(header))):
        plain = " ".join(header[index].split()) if index < len(header) else ""
        name = plain = plain or f"column {index + 1}"
        repeat = 2
        while name.casefold() in taken:
            name, repeat = f"{plain} {repeat}", repeat + 1
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)


def rows_of(lines: Iterable[str], delimiter: str) -> list[list[str]]:
    """The cells of a few lines, as far as they can be taken apart."""
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return rows  # the reading proper meets the same place, and reports it with its line
    return rows


def _named_column(header: Sequence[str], rows: Sequence[Sequence[str]], likeness: Callable[[str], int]) -> int | None:
    """The column whose name says phone; of equally good names the most number-like ("Phone 1 - Value")."""
    folded = [_folded(cell) for cell in header]
    for names in _STRONG_NAMES:
        if columns := [index for index, name in enumerate(folded) if name in names]:
            return max(columns, key=lambda index: _likeness_of_column(rows, index, likeness))
    hinted = [index for index, name in enumerate(folded) if any(stem in name for stem in _PHONE_STEMS)]
    vague = [index for index, name in enumerate(folded) if name in _VAGUE_NAMES]
    for columns in (hinted, vague):
        best = max(columns, key=lambda index: _likeness_of_column(rows, index, likeness), default=None)
        if best is not None and (not rows or _likeness_of_column(rows, best, likeness)):
            return best
    return None


def _likeness_of_column(rows: Sequence[Sequence[str]], index: int, likeness: Callable[[str], int]) -> int:
    return sum(likeness(row[index]) for row in rows if index < len(row))


def _is_mostly_numbers(rows: Sequence[Sequence[str]], index: int, likeness: Callable[[str], int]) -> bool:
    cells = [row[index] for row in rows if index < len(row) and row[index].strip()]
    return 2 * sum(likeness(cell) == 2 for cell in cells) > len(cells)


def _folded(name: str) -> str:
    """Without case, accents, spaces and signs: "N° de Téléphone " becomes "ndetelephone"."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in letters if char.isalnum())


def _names(text: str) -> frozenset[str]:
    return frozenset(map(_folded, text.split()))


# Best first: a list with a WhatsApp column and an office phone means the former.
_STRONG_NAMES = (_names(_WHATSAPP), _names(_MOBILE), _names(_PHONE))
_VAGUE_NAMES = _names(_NUMBER)
_PHONE_STEMS = tuple(_names(_STEMS))
