"""Which messages are words that stop or start, in any script."""

import pytest

from campaigns.audience.optouts.keywords import LONGEST, Keywords, Wish, fold_word
from gateway.settings import OptOutSettings

WORDS = Keywords(OptOutSettings().stop_words, OptOutSettings().start_words)


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        " Stop.\n",
        "¡Stop!",
        "🛑 STOP 🛑",
        "«stop»",
        "ＳＴＯＰ",
        "\N{ZERO WIDTH SPACE}st\N{SOFT HYPHEN}op\N{RIGHT-TO-LEFT MARK}",
        "𝐒𝐓𝐎𝐏",
        "stop\N{VARIATION SELECTOR-16}",
        "Stop   all",
        "Arrêt",
        "ARRÊT",
        "arret",
        "ARRE\N{COMBINING CIRCUMFLEX ACCENT}T!",
        "desabonner",
        "Baja",
        "стоп",
        "Стоп!!!",
        "توقف",
        "تَوَقَّف",
        "توقـــف",
        "ايقاف",
        "إيقاف",
        "abonelikten çık",
        "ABONELİKTEN ÇIK",
        "ABONELIKTEN CIK",
        "הסר",
        "रोकें",
        "退订。",
        "수신거부",
        "(unsubscribe)",
        "*STOP*",
    ],
)
def test_a_word_alone_stops_however_it_is_written(text: str) -> None:
    assert WORDS.wish_in(text) is Wish.STOP


@pytest.mark.parametrize("text", ["START", "start!", "Старт", "démarrer", "Unstop", "ابدأ"])
def test_a_word_alone_starts_again(text: str) -> None:
    assert WORDS.wish_in(text) is Wish.START


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "!!!",
        "\N{ZERO WIDTH SPACE}",
        "don't stop",
        "Stop by on Friday?",
        "stopping",
        "S T O P",
        "s.t.o.p",
        "stop stop",
        "cancel",
        "no",
        "0",
        "bus stop",
        "non-stop",
        "stop" + "!" * LONGEST,
    ],
)
def test_everything_else_is_no_keyword(text: str) -> None:
    assert WORDS.wish_in(text) is None


def test_a_word_that_is_in_both_lists_stops() -> None:
    assert Keywords(["Basta"], ["BASTA"]).wish_in("basta") is Wish.STOP


def test_an_empty_word_in_the_settings_is_no_word() -> None:
    assert Keywords(["!"], ["\N{ZERO WIDTH SPACE}"]).wish_in("?") is None


def test_no_word_of_the_settings_means_both() -> None:
    words = OptOutSettings()
    assert not {fold_word(word) for word in words.stop_words} & {fold_word(word) for word in words.start_words}
