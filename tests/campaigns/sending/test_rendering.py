import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campaigns.sending.rendering import (
    MissingVariables,
    TemplateSyntaxError,
    TextTooLong,
    Value,
    check_length,
    parse_template,
)

SENDABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
WITHOUT_MARKERS = st.text(SENDABLE).filter(lambda text: "{{" not in text and "}}" not in text)


def render(text: str, *sources: Mapping[str, Value]) -> str:
    return parse_template(text).render(*sources)


def test_a_variable_is_replaced_by_its_value() -> None:
    assert render("Hello {{name}}, order {{ order }}!", {"name": "Ana", "order": "A-7"}) == "Hello Ana, order A-7!"


@pytest.mark.parametrize(
    ("text", "values", "rendered"),
    [
        ("Hi {{ name | friend }}", {}, "Hi friend"),
        ("Hi {{name|friend}}", {"name": "Ana"}, "Hi Ana"),
        ("Hi {{ name | my dear friend }}!", {}, "Hi my dear friend!"),
        ("Hi{{ name | }}!", {}, "Hi!"),
        ("Hi {{name|a | b}}", {}, "Hi a | b"),
        ("Hi {{name|a {b} c}}", {}, "Hi a {b} c"),
    ],
)
def test_a_fallback_stands_in_for_a_missing_value(text: str, values: dict[str, Value], rendered: str) -> None:
    assert render(text, values) == rendered


@pytest.mark.parametrize("blank", ["", "  ", "\t\n", "\u00a0", "\x00", None, float("nan"), float("inf")])
def test_a_blank_value_counts_as_missing(blank: Value) -> None:
    assert render("Hi {{ name | friend }}", {"name": blank}) == "Hi friend"
    with pytest.raises(MissingVariables):
        render("Hi {{name}}", {"name": blank})


def test_all_missing_variables_are_named_as_the_template_writes_them() -> None:
    template = parse_template("{{First Name}} {{order}} {{ city | here }} {{first name}}")
    with pytest.raises(MissingVariables) as missing:
        template.render({})
    assert missing.value.names == ("First Name", "order")
    assert str(missing.value) == "no value for First Name, order"


def test_a_template_tells_its_variables_and_which_are_required() -> None:
    template = parse_template("{{ a | 1 }} {{b}} {{A}} {{ c | }}")
    assert template.variables == ("a", "b", "c")
    assert template.required == ("b", "a")


@pytest.mark.parametrize("name", ["Имя", "اسم", "नाम", "名前", "first name", "order_no", "e-mail", "address.city", "1"])
def test_names_are_letters_of_any_script_digits_and_a_few_signs(name: str) -> None:
    assert render(f"<{{{{ {name} }}}}>", {name: "x"}) == "<x>"


@pytest.mark.parametrize("key", ["First Name", "first name", " FIRST  NAME ", "First\u00a0Name"])
def test_names_are_compared_without_case_and_extra_spaces(key: str) -> None:
    assert render("{{ first name }}", {key: "Ana"}) == "Ana"


def test_one_letter_written_as_one_or_two_characters_is_one_name() -> None:
    assert render("{{pr\u00e9nom}}", {"pre\u0301nom": "Ana"}) == "Ana"


def test_the_exact_spelling_wins_among_names_that_differ_in_case() -> None:
    assert render("{{Name}}", {"name": "lower", "Name": "exact"}) == "exact"
    assert render("{{Name}}", {"name": "lower", "Name": ""}) == "lower"


def test_the_recipient_s_value_wins_over_the_campaign_s_unless_it_is_blank() -> None:
    template = parse_template("{{shop}} {{city}} {{ hour | noon }}")
    campaign: dict[str, Value] = {"Shop": "Bakery", "city": "Paris"}
    assert template.render({"city": "Lyon"}, campaign) == "Bakery Lyon noon"
    assert template.render({"city": " ", "hour": 9}, campaign) == "Bakery Paris 9"


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7"), (-3, "-3"), (0, "0"), (3.0, "3"), (2.5, "2.5"), (1e300, "1e+300"), (True, "true"), (False, "false")],
)
def test_numbers_and_truth_values_become_text(value: Value, text: str) -> None:
    assert render("{{x}}", {"x": value}) == text


def test_a_value_that_is_neither_text_nor_number_is_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        render("{{x}}", {"x": ["a"]})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("text", "problem", "position"),
    [
        ("Hi {{name", "{{ without }}", 3),
        ("Hi {{", "{{ without }}", 3),
        ("{{a {{b}}", "{{ without }}", 0),
        ("{{ a | {{b}} }}", "{{ without }}", 0),
        ("Hi name}}", "}} without {{", 7),
        ("{{a}} }}", "}} without {{", 6),
        ("{{a}}}}", "}} without {{", 5),
        ("Hi {{}}", "no name", 3),
        ("Hi {{   }}", "no name", 3),
        ("Hi {{ | x }}", "no name", 3),
        ("{{{name}}}", "not a name", 0),
        ("{{a.b()}}", "not a name", 0),
        ("{{name!r}}", "not a name", 0),
        ("{{a\nb}}", "not a name", 0),
        ("{{ a: b }}", "not a name", 0),
    ],
)
def test_a_syntax_error_says_what_and_where(text: str, problem: str, position: int) -> None:
    with pytest.raises(TemplateSyntaxError, match=re.escape(problem)) as wrong:
        parse_template(text)
    assert wrong.value.position == position
    assert f"at character {position + 1}" in str(wrong.value)


def test_single_braces_and_format_signs_are_plain_text() -> None:
    text = "{name} %s %(name)s ${name} {0.__class__} {% x %} <b>"
    assert render(text, {"name": "Ana"}) == text


def test_characters_that_nobody_can_store_are_dropped() -> None:
    assert render("a\x00b\ud800 {{x}}", {"x": "c\x00d\udfff"}) == "ab cd"


def test_a_text_over_the_limit_is_refused_with_its_length() -> None:
    assert check_length("x" * 5_000) == "x" * 5_000
    with pytest.raises(TextTooLong, match="5001 characters, at most 5000"):
        check_length("x" * 5_001)


@given(text=WITHOUT_MARKERS)
def test_a_text_without_markers_stays_identical(text: str) -> None:
    assert render(text, {"a": "b"}) == text


@given(before=WITHOUT_MARKERS, value=st.text(SENDABLE), after=WITHOUT_MARKERS)
def test_a_value_appears_verbatim_between_the_literals(before: str, value: str, after: str) -> None:
    assume(value.strip() and not before.endswith("{") and not after.startswith("}"))
    assert render(f"{before}{{{{v}}}}{after}", {"v": value}) == before + value + after


@given(values=st.lists(st.sampled_from(["{{a}}", "{{b}}", "{{ a | x }}", "{{", "}}", "{{c"]), min_size=2, max_size=2))
def test_no_marker_in_a_value_is_expanded(values: list[str]) -> None:
    assert render("{{a}}-{{b}}-{{ c | {x} }}", dict(zip("ab", values, strict=True))) == "-".join([*values, "{x}"])


@given(text=st.text(st.sampled_from("{}| ab\x00"), max_size=30))
def test_any_text_is_a_template_or_a_syntax_error_inside_it(text: str) -> None:
    try:
        template = parse_template(text)
    except TemplateSyntaxError as wrong:
        position = wrong.position
    else:
        position = 0
        assert isinstance(template.render(dict.fromkeys(template.required, "v")), str)
    assert 0 <= position <= len(text)


def test_a_hundred_thousand_recipients_are_rendered_in_well_under_two_seconds() -> None:
    template = parse_template("Hello {{name}}, your order {{order}} waits in {{ city | our shop }}. {{shop}}")
    campaign: dict[str, Value] = {"shop": "Bakery"}
    started = time.process_time()
    for index in range(20_000):
        template.render({"Name": "Ana", "Order": str(index), "City": ""}, campaign)
    assert time.process_time() - started < 0.6
