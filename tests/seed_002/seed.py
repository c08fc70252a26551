"""The document that promises the scheduler's API, read by its headings: its requests, its answers, its code.

block = seed.blocks("Create Message")[0]        # the fenced blocks under a heading, in their order
request = seed.request(block)                   # of an `http` block: method, path and body
example = seed.answer(seed.blocks("Create Message")[1])
assert_like(example, answer)                    # the example's keys are there, with values of its kinds
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
FILE = SEEDS / "002_ce55ad08483b7428.txt"
_HEADING = re.compile(r"#{1,6} +(.+)")
_FENCE = re.compile(r" *```(\w*)")
_COMMENT = re.compile(r"(?<=[\]},\"\d]) +//.*$", re.MULTILINE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences: its language, and its text."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """An example of a request."""

    method: str
    path: str
    body: Any


class Seed:
    """The document's fenced blocks by the heading that they stand under."""

    def __init__(self, text: str) -> None:
        self.source = text
        self._blocks: dict[str, list[Block]] = {}
        self._texts: dict[str, list[str]] = {}
        heading, language, inside = "", None, list[str]()
        for line in text.splitlines():
            fence = _FENCE.match(line)
            if language is not None and fence:
                self._blocks.setdefault(heading, []).append(Block(language, "\n".join(inside)))
                language = None
            elif language is not None:
                inside.append(line)
            elif fence:
                language, inside = fence[1], []
            elif titled := _HEADING.fullmatch(line):
                heading = titled[1]
            else:
                self._texts.setdefault(heading, []).append(line)

    def blocks(self, heading: str, language: str = "") -> list[Block]:
        """The blocks under a heading, in their order; of one language if it is named."""
        found = [one for one in self._blocks[heading] if language in ("", one.language)]
        assert found, f"there is nothing in {language or 'a fence'} under {heading!r}"
        return found

    def headings(self, language: str) -> list[str]:
        """The headings under which there are blocks of a language."""
        return [heading for heading, blocks in self._blocks.items() if any(one.language == language for one in blocks)]

    def titles(self) -> list[str]:
        """All headings under which there is something."""
        return list({**self._texts, **self._blocks})

    def text(self, heading: str) -> str:
        """The lines under a heading that stand between no fences."""
        return "\n".join(self._texts[heading])

    def table(self, heading: str) -> dict[str, tuple[str, ...]]:
        """The rows of the table under a heading, by their first cells, as which they stand without quotes."""
        rows = [line.strip().strip("|").split("|") for line in self._texts[heading] if line.startswith("|")]
        cells = [tuple(cell.strip().strip("`") for cell in row) for row in rows[2:]]
        return {row[0]: row[1:] for row in cells}

    def request(self, heading: str) -> Request:
        """The request that is shown under a heading."""
        head, _, body = self.blocks(heading, "http")[0].text.partition("\n\n")
        method, path = head.splitlines()[0].split()
        return Request(method, path, json.loads(body) if body.strip() else None)

    def answer(self, heading: str) -> Any:
        """The answer that is shown under a heading, without its comments."""
        return json.loads(_COMMENT.sub("", self.blocks(heading, "json")[0].text))


def read_seed(file: Path = FILE) -> Seed:
    """The document; skips the test where it is not at hand."""
    if not file.exists():
        pytest.skip(f"the document that promises this API is not at {file}")
    return Seed(file.read_text(encoding="utf-8"))


def assert_like(example: Any, answer: Any, at: str = "answer") -> None:
    """The answer has every key of the example, with a value of the same kind; a list has items like its first one.

    Times are told from other texts, and so are ids. Null in an example says nothing of the kind.
    """
    if example is None:
        return
    if isinstance(example, dict):
        assert isinstance(answer, dict), f"{at} is no object: {answer!r}"
        assert set(example) <= set(answer), f"{at} has no {set(example) - set(answer)}"
        for key, value in example.items():
            assert_like(value, answer[key], f"{at}.{key}")
    elif isinstance(example, list):
        assert isinstance(answer, list), f"{at} is no list: {answer!r}"
        for index, item in enumerate(answer):
            if example:
                assert_like(example[0], item, f"{at}.{index}")
    else:
        assert type(answer) is type(example), f"{at} is {answer!r}, where the example has {example!r}"
        assert _kind(answer) == _kind(example), f"{at} is {answer!r}, where the example has {example!r}"


def _kind(value: Any) -> str:
    if not isinstance(value, str):
        return "value"
    if _ID.fullmatch(value):
        return "id"
    if _TIME.fullmatch(value):
        return "time"
    return "number" if re.fullmatch(r"\+\d+", value) else "text"
