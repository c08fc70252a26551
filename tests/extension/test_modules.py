"""The rules of the extension that need no gateway: contact files, numbers, texts, words. Asked of its own modules."""

from typing import Any

from playwright.async_api import Page

from campaigns.sending.rendering import MissingVariables, TemplateSyntaxError, parse_template

FILES: list[tuple[str, str, list[list[str]]]] = [
    ("commas", "a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
    ("a mark, semicolons and Windows' line ends", "\ufeffa;b\r\n1;2\r\n", [["a", "b"], ["1", "2"]]),
    ("tabs, and no line end at the end", "a\tb\n1\t2", [["a", "b"], ["1", "2"]]),
    (
        "quotes with separators, line ends and quotes in them",
        'a,b\n"x, ""y""\nz",2\n',
        [["a", "b"], ['x, "y"\nz', "2"]],
    ),
    ("a quote in the middle of a cell", 'a,b\n5" tall,2\n', [["a", "b"], ['5" tall', "2"]]),
    ("empty lines and empty cells", "a,b\n\n,\n1,\n", [["a", "b"], ["1", ""]]),
    ("the old Mac's line ends", "a,b\r1,2\r", [["a", "b"], ["1", "2"]]),
    ("commas inside of semicolons", "name;city\nSilva, Ana;Lisbon\n", [["name", "city"], ["Silva, Ana", "Lisbon"]]),
]


async def ask(page: Page, module: str, call: str, argument: Any = None) -> Any:
    """What an expression over a module `m` and an argument `a` gives."""
    script = f"async (a) => {{ const m = await import('/src/{module}.js'); return {call}; }}"
    return await page.evaluate(script, argument)


async def test_contact_files_of_all_kinds_are_read(extension_page: Page) -> None:
    for what, text, rows in FILES:
        assert await ask(extension_page, "csv", "m.parse(a)", text) == rows, what


async def test_files_of_all_encodings_are_read(extension_page: Page) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        encoded = list("name;phone\nChloé;+33639980001\n".encode(encoding))
        rows = await ask(extension_page, "csv", "m.parse(m.decode(new Uint8Array(a).buffer))", encoded)
        assert rows == [["name", "phone"], ["Chloé", "+33639980001"]], encoding


async def test_ten_thousand_rows_are_read_without_a_wait(extension_page: Page) -> None:
    text = "name;phone;city\n" + "".join(f'"Nr; {n}";+4477009{n:05d};Oslo\n' for n in range(10_000))
    count, milliseconds = await ask(
        extension_page,
        "people",
        """(() => {
            const began = performance.now();
            const table = m.readTable(a);
            const people = m.recipientsOf(table, m.guessPhoneColumn(table), "Hello {{name}}");
            return [people.recipients.length, performance.now() - began];
        })()""",
        text,
    )
    assert count == 10_000
    assert milliseconds < 2_000


async def test_the_column_with_the_numbers_is_found_and_only_used_values_are_sent(extension_page: Page) -> None:
    text = "order;Name;Mobile\n1001001;Ana;+44 7700 900101\n1001002;Bo;\n1001003;Cy;07700 900103\n"
    told = await ask(
        extension_page,
        "people",
        "(() => { const t = m.readTable(a); return m.recipientsOf(t, m.guessPhoneColumn(t), 'Hi {{NAME}}'); })()",
        text,
    )
    assert told == {
        "recipients": [
            {"phone": "+44 7700 900101", "variables": {"Name": "Ana"}},
            {"phone": "07700 900103", "variables": {"Name": "Cy"}},
        ],
        "lines": [2, 4],
        "withoutNumber": 1,
    }


PASTED: list[tuple[str, list[list[str]]]] = [
    ("+447700900101\n+447700900102\n", [["+447700900101"], ["+447700900102"]]),
    ("+447700900101, +447700900102; +447700900103", [["+447700900101"], ["+447700900102"], ["+447700900103"]]),
    ("name\tphone\nAna\t+447700900101", [["Ana", "+447700900101"]]),
    ("+447700900101;Ana", [["+447700900101", "Ana"]]),
    ("call me\n+447700900101", [["call me"], ["+447700900101"]]),
]


async def test_what_is_pasted_is_numbers_or_a_piece_of_a_table(extension_page: Page) -> None:
    for pasted, rows in PASTED:
        assert await ask(extension_page, "people", "m.readPasted(a).rows", pasted) == rows


TEXTS = [
    "Hello {{name}}",
    "Hello {{ NAME }}, {{ first  name | friend }}!",
    "{{name|}}.",
    "{{name}} {{name|you}}",
    "{{ville | là}} {{straße}}",
    "no variables",
    "{{nobody}}",
    "{{name",
    "name}}",
    "{{a{{b}}",
    "{{}}",
    "{{na#me}}",
    "{{name}} }} {{name}}",
]
VALUES = {"Name": "Ana {{x}}", "First name": "  ", "STRASSE": "Weg"}


async def test_the_preview_reads_texts_as_the_gateway_does(extension_page: Page) -> None:
    call = "(() => { const t = m.parseTemplate(a[0]); return [t.problem, m.fill(t, a[1])]; })()"
    for text in TEXTS:
        problem, pieces = await ask(extension_page, "template", call, [text, VALUES])
        shown = None if problem or any(piece["missing"] for piece in pieces) else "".join(one["text"] for one in pieces)
        assert (bool(problem), shown) == as_the_gateway_reads(text), text


def as_the_gateway_reads(text: str) -> tuple[bool, str | None]:
    """Whether the gateway refuses a text, and what it makes of it for somebody with these values."""
    try:
        return False, parse_template(text).render(VALUES)
    except TemplateSyntaxError:
        return True, None
    except MissingVariables:
        return False, None


WORDS = [
    ("m.brief(0)", ""),
    ("m.brief(999)", "999"),
    ("m.brief(1999)", "1.9k"),
    ("m.brief(118949)", "118k"),
    ("m.duration(45)", "45 s"),
    ("m.duration(7800)", "2 h 10 min"),
    ("m.duration(1219999)", "14 d 2 h"),
    ("m.spaced('+447700900001')", "+44 7700 900 001"),
    ("m.spaced('+12125550100')", "+1 212 555 0100"),
    ("m.spaced('+33639980000')", "+33 639 980 000"),
]


async def test_words_are_short_and_right(extension_page: Page) -> None:
    for call, told in WORDS:
        assert await ask(extension_page, "words", call) == told


ADDRESSES: list[tuple[str, str | None]] = [
    ("localhost:8000", "http://localhost:8000"),
    (" http://127.0.0.1:8000/ ", "http://127.0.0.1:8000"),
    ("gateway.example.org", "https://gateway.example.org"),
    ("https://example.org/gateway/", "https://example.org/gateway"),
    ("", None),
    ("ftp://example.org", None),
    ("https://user:pass@example.org", None),
    ("http://", None),
]


async def test_addresses_are_read_as_people_write_them(extension_page: Page) -> None:
    call = "(() => { try { return m.readAddress(a); } catch { return null; } })()"
    for written, address in ADDRESSES:
        assert await ask(extension_page, "api", call, written) == address, written


async def test_what_is_drawn_again_stays_where_nothing_changed(extension_page: Page) -> None:
    stayed, html = await ask(
        extension_page,
        "dom",
        """(() => {
            const box = m.h("div"), line = (count) => m.h("p", {}, "Sent ", m.h("b", {}, count));
            const draw = (count, more) => m.renew(box, line(count), m.h("button", {}, "Pause"), more);
            draw("1", m.h("ul", {}, m.h("li", {}, "x")));
            const [first, button] = box.children;
            draw("2", m.h("ol"));
            const same = box.children[0] === first && box.children[1] === button;
            draw("2", null);
            return [same && box.children[1] === button, box.innerHTML];
        })()""",
    )
    assert stayed
    assert html == "<p>Sent <b>2</b></p><button>Pause</button>"
