"""The languages of the pairing page: complete, and chosen as the visitor reads."""

import re

import pytest
from markupsafe import Markup

from sessions.pairing.page.languages import DEFAULT, FOLDER, NAMES, choose, placeholders, read_language
from sessions.pairing.page.rendering import TEMPLATES

ENGLISH = read_language(DEFAULT).words
OTHERS = [code for code in NAMES if code != DEFAULT]


def test_each_language_has_a_catalogue_and_each_catalogue_a_language() -> None:
    assert sorted(file.stem for file in FOLDER.glob("*.json")) == sorted(NAMES)


@pytest.mark.parametrize("code", OTHERS)
def test_all_have_the_same_sentences_in_the_same_order(code: str) -> None:
    assert list(read_language(code).words) == list(ENGLISH)


@pytest.mark.parametrize("code", OTHERS)
def test_all_have_the_same_placeholders(code: str) -> None:
    words = read_language(code).words
    assert {key: placeholders(text) for key, text in words.items()} == {
        key: placeholders(text) for key, text in ENGLISH.items()
    }


@pytest.mark.parametrize("code", list(NAMES))
def test_nothing_is_empty_or_left_in_english(code: str) -> None:
    words = read_language(code).words
    assert all(text.strip() == text != "" for text in words.values())
    same = {key for key, text in words.items() if code != DEFAULT and text == ENGLISH[key]}
    assert same == set()


def test_every_sentence_has_its_place_on_a_page() -> None:
    used = "".join(file.read_text(encoding="utf-8") for file in TEMPLATES.glob("*.html"))
    panels = set(re.findall(r'panel\("([a-z]+)"', used)) | {"refused", "limited", "over"}
    direct = set(re.findall(r'say\("([a-z_]+)"[,)]', used))
    steps = {f"{kind}_{number}" for kind in ("step", "typed_step") for number in (1, 2, 3)}
    named = direct | steps | {f"{panel}_title" for panel in panels} | {"refused_text", "over_text", "limited_text"}
    assert named == set(ENGLISH)


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de,pt-BR;q=0.7,en;q=0.3", "pt"),
        ("en;q=0.4, es;q=0.9", "es"),
        ("AR-eg", "ar"),
        ("es;q=0, en;q=0.1", "en"),
        ("de, *;q=0.5", "en"),
        ("fr;q=nonsense, es;q=0.1", "es"),
        ("fr;q=9", "en"),
        (";;,,q=1", "en"),
    ],
)
def test_the_browsers_language_is_taken(accepted: str, code: str) -> None:
    assert choose("", accepted).code == code


def test_a_language_that_was_chosen_wins_if_it_is_one() -> None:
    assert choose("ar", "fr").code == "ar"
    assert choose("xx", "fr").code == "fr"
    assert choose("../en", "").code == "en"


def test_arabic_is_read_from_the_right() -> None:
    assert {code: read_language(code).direction for code in NAMES} == {
        "en": "ltr",
        "fr": "ltr",
        "ar": "rtl",
        "es": "ltr",
        "pt": "ltr",
    }


def test_what_is_put_into_a_sentence_is_escaped_unless_it_is_markup() -> None:
    english = read_language("en")
    assert english.say("connected_name", name="<b>&") == "Account: &lt;b&gt;&amp;"
    assert english.say("connected_name", name=Markup("<b>A</b>")) == "Account: <b>A</b>"
    with pytest.raises(KeyError):
        english.say("connected_name")
