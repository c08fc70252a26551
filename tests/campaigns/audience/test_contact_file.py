import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.audience.contact_columns import EXPORTED_MESSAGES
from campaigns.audience.contact_file import MAX_LINE, ContactFileError, ContactRow, read_contacts

CONTACTS = Path(__file__).parents[4] / "shared" / "data" / "contacts.csv"


def read(text: str | bytes, **options: str) -> list[ContactRow]:
    content = text if isinstance(text, bytes) else text.encode()
    with read_contacts(io.BytesIO(content), default_region=options.get("region", "FR")) as contacts:
        rows = list(contacts)
    assert contacts.counts.total() == len(rows)
    return rows


def numbers(rows: list[ContactRow]) -> list[str]:
    return [row.phone.digits for row in rows if row.fate == "ok" and row.phone is not None]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_delimiter_and_the_line_ends_are_found_out(delimiter: str, newline: str) -> None:
    lines = [["name", "phone", "city"], ["Ana", "+33639980001", "Paris"], ["Bo", "06 39 98 00 02", "Lyon"]]
    rows = read(newline.join(delimiter.join(line) for line in lines))
    assert numbers(rows) == ["33639980001", "33639980002"]
    assert rows[1].variables == {"name": "Bo", "city": "Lyon"}
    assert [row.line for row in rows] == [2, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_is_found_out(encoding: str) -> None:
    text = "prénom;phone\nZoë Gómez;+33639980001\nJürgen;+33639980002\n"
    assert [row.variables for row in read(text.encode(encoding))] == [{"prénom": "Zoë Gómez"}, {"prénom": "Jürgen"}]


def test_a_row_pasted_from_a_windows_file_does_not_spoil_the_others() -> None:
    rows = read("name,phone\nZoë,+33639980001\n".encode() + "Zoë,+33639980002\n".encode("cp1252"))
    assert [row.variables["name"] for row in rows] == ["Zoë", "Zoë"]


@pytest.mark.parametrize(
    "header",
    [
        "phone", "Phone", " PHONE ", "number", "Mobile", "Phone Number", "phone_number", "tel", "Tél.", "WhatsApp",
        "Telefono", "Teléfono", "Número de teléfono", "Téléphone", "Handy", "Мобильный", "Телефон", "الهاتف", "फोन",
        "전화번호", "手机", "Customer phone", "Mobile (private)", "to", "No.",
    ],
)  # fmt: skip
def test_the_phone_column_is_found_by_its_name_in_any_place(header: str) -> None:
    rows = read(f"order;{header};name\n20240115;0639980001;Ana\n20240116;;Bo\n")
    assert numbers(rows) == ["33639980001"]
    assert rows[0].variables == {"order": "20240115", "name": "Ana"}
    assert rows[1].fate == "blank"


def test_a_whatsapp_column_wins_over_a_mobile_over_a_phone_over_a_number() -> None:
    header = ["number", "phone", "mobile", "whatsapp"]
    cells = [f"+3363998000{index}" for index in range(4)]
    for count in (4, 3, 2, 1):
        text = ",".join(header[:count]) + "\n" + ",".join(cells[:count])
        assert numbers(read(text)) == [f"3363998000{count - 1}"]


def test_of_columns_of_like_names_the_one_with_numbers_is_taken() -> None:
    rows = read("Name,Phone 1 - Label,Phone 1 - Value\nAna,Home,+33639980001\n")
    assert numbers(rows) == ["33639980001"]


@pytest.mark.parametrize("text", ["+33639980001\n+33639980002\n", "Ana,0639980001\nBo,0639980002\n"])
def test_a_file_without_a_header_loses_not_even_its_first_row(text: str) -> None:
    rows = read(text)
    assert numbers(rows) == ["33639980001", "33639980002"]
    assert [row.line for row in rows] == [1, 2]


def test_columns_without_a_header_are_called_by_their_place() -> None:
    assert read("Ana,0639980001,iPhone\nBo,0639980002,\n")[0].variables == {"column 1": "Ana", "column 3": "iPhone"}


def test_a_column_of_numbers_is_found_under_a_name_nobody_knows() -> None:
    assert numbers(read("who;wohin\nAna;+33639980001\n")) == ["33639980001"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("\n \n;;\n", "empty"),
        ("who,where\nAna,Paris\n", "name one of them 'phone'.*who, where"),
        ("one,two\n+33639980001,+33639980002\n", "name one of them 'phone'"),
        (b"PK\x03\x04 rest of a workbook", "workbook"),
        ("phone\n" + "x" * (MAX_LINE + 1), "line 2 is longer"),
    ],
)
def test_a_file_that_is_no_contact_list_is_refused_with_the_reason(text: str | bytes, problem: str) -> None:
    with pytest.raises(ContactFileError, match=problem):
        read(text)


def test_every_row_that_is_not_taken_is_told_with_its_line_and_reason() -> None:
    rows = read(
        "phone,name\n+33639980001,Ana\n\n,Bo\n06 39 98 00 01,Cy\ncall me,Di\n9.99E+99,Ed\n , \n+33639980002,Flo"
    )
    assert [(row.line, row.fate) for row in rows] == [
        (2, "ok"), (3, "blank"), (4, "blank"), (5, "duplicate"),
        (6, "invalid"), (7, "invalid"), (8, "blank"), (9, "ok"),
    ]  # fmt: skip
    assert rows[1].reason == "the row is empty"
    assert rows[2].reason == "it is blank"
    assert rows[3].reason == "the same number as in line 2"
    assert rows[4].reason == "there are letters in it"
    assert "spreadsheet" in rows[5].reason
    assert rows[4].variables == {"name": "Di"}


def test_a_quoted_field_may_hold_delimiters_quotes_and_newlines() -> None:
    rows = read('note;phone\n"first; ""second""\nthird";+33639980001\nx;+33639980002\n')
    assert rows[0].variables == {"note": 'first; "second"\nthird'}
    assert [row.line for row in rows] == [2, 4]


def test_a_quote_that_is_never_closed_is_told_and_swallows_nobody_silently() -> None:
    rows = read('phone,name\n+33639980001,Ana\n+33639980002,"Bo\n+33639980003,Cy\n')
    assert [(row.line, row.fate) for row in rows] == [(2, "ok"), (3, "invalid")]
    assert "lines 3 to 4 cannot be read" in rows[1].reason


def test_rows_after_a_broken_one_are_read() -> None:
    rows = read('phone,name\n+33639980001,"Bo" x\n+33639980002,Cy\n')
    assert [(row.line, row.fate) for row in rows] == [(2, "invalid"), (3, "ok")]


def test_short_and_long_rows_are_taken_as_they_are() -> None:
    rows = read("name,phone,city\nAna,+33639980001\nBo,+33639980002,Lyon,extra\nCy\n")
    assert [row.variables for row in rows] == [
        {"name": "Ana"}, {"name": "Bo", "city": "Lyon", "column 4": "extra"}, {"name": "Cy"},
    ]  # fmt: skip
    assert [row.fate for row in rows] == ["ok", "ok", "blank"]


def test_repeated_and_nameless_columns_keep_apart() -> None:
    rows = read("phone,name,Name,,name\n+33639980001,a,b,c,d\n")
    assert rows[0].variables == {"name": "a", "Name 2": "b", "column 4": "c", "name 3": "d"}


def test_excel_s_own_line_about_the_delimiter_is_obeyed() -> None:
    rows = read("sep=|\nname|phone\nDoe, Ana; x|+33639980001\n")
    assert (rows[0].line, rows[0].variables) == (3, {"name": "Doe, Ana; x"})


def test_an_empty_list_with_a_header_has_no_rows() -> None:
    assert read("name,phone\n") == []


def test_strict_refuses_what_is_only_possible() -> None:
    with read_contacts(io.StringIO("phone\n+33639980001\n+12125550123\n"), strict=True) as contacts:
        assert [row.fate for row in contacts] == ["invalid", "ok"]


def test_a_path_a_text_stream_and_an_upload_read_alike(tmp_path: Path) -> None:
    text = "\ufeffphone,name\n+33639980001,Zoë\n"
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    with tempfile.SpooledTemporaryFile() as upload, path.open(encoding="utf-8", newline="") as opened:
        upload.write(text.encode())
        upload.seek(0)
        read_all = [list(read_contacts(source)) for source in (path, io.StringIO(text), opened, upload)]  # type: ignore[arg-type]
        assert not upload.closed
    assert all(rows == read_all[0] for rows in read_all)
    assert numbers(read_all[0]) == ["33639980001"]


def test_a_list_is_streamed_and_not_read_at_once() -> None:
    class Endless(io.RawIOBase):
        served = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            line = b"phone,name\n" if self.served == 0 else b"+3363998%04d,x\n" % (self.served % 10_000)
            self.served += 1
            buffer[: len(line)] = line
            return len(line)

    source = Endless()
    with read_contacts(source) as contacts:  # type: ignore[arg-type]
        rows = iter(contacts)
        for _ in range(500):
            next(rows)
    assert source.served < 5_000


@given(
    cells=st.lists(
        st.tuples(st.sampled_from(["+33639980001", "06 39 98 00 02", "", "x"]), st.text(max_size=20)), max_size=20
    ),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_no_row_is_lost_whatever_stands_in_the_other_columns(cells: list[tuple[str, str]], delimiter: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("phone", "note", "city"), *((phone, note, "Paris") for phone, note in cells)])
    rows = read(text.getvalue().encode("utf-8", "replace"))
    assert len(rows) == len(cells)
    assert [row.fate for row in rows].count("ok") == len({phone for phone, _ in cells if len(phone) > 1})


@pytest.mark.skipif(not CONTACTS.exists(), reason=f"{CONTACTS.name} is not beside this checkout")
def test_a_real_contact_list_gives_the_known_counts() -> None:
    with read_contacts(CONTACTS, default_region="FR") as contacts:
        rows = list(contacts)
    assert contacts.counts == {"ok": 1044, "duplicate": 100, "invalid": 33, "blank": 23}
    assert contacts.layout.variables == ("name", "city", "order")
    assert all(bool(row.reason) == (row.fate != "ok") for row in rows)


def test_a_missing_file_is_the_callers_to_report(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_contacts(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    "header", ["name,phone,groups,variables", "recipient,phone"], ids=["an export of ours", "anybody's"]
)
def test_the_digits_of_our_own_export_are_the_same_number_in_every_region(header: str) -> None:
    is_ours = header.startswith("name")
    rows = read(f"{header}\r\nAna,12125550100,,{{}}\r\nBo,00000000,,{{}}\r\n", region="DE")
    assert numbers(rows) == (["12125550100", "00000000"] if is_ours else ["4912125550100", "490000000"])


def test_the_recipients_of_an_exported_campaign_are_the_same_in_every_region() -> None:
    header = ",".join(EXPORTED_MESSAGES)
    rows = read(f"{header}\r\n01a,12125550100,failed,447700900100,Hello,1,,,,,\r\n", region="DE")
    assert numbers(rows) == ["12125550100"]
