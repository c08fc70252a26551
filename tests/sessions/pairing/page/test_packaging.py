"""Whatever the page needs is in the package, and nothing that it names is missing."""

import importlib.resources
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from sessions.pairing.page.languages import NAMES
from sessions.pairing.page.rendering import SERVED

ROOT = Path(__file__).parents[4]
PAGE = importlib.resources.files("sessions.pairing.page")


def files(folder: str) -> set[str]:
    """The names of the files in one of the page's folders."""
    return {file.name for file in PAGE.joinpath(folder).iterdir()}


def test_the_files_are_read_as_resources_of_the_package() -> None:
    assert files("templates") == {"base.html", "page.html", "refusal.html"}
    assert files("words") == {f"{code}.json" for code in NAMES}
    assert files("static") == SERVED


def test_a_wheel_takes_every_one_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    for folder in ("templates", "words", "static"):
        assert all(any(fnmatch(name, pattern) for pattern in patterns) for name in files(folder)), folder


def test_every_file_that_is_served_is_asked_for_and_the_other_way_round() -> None:
    pages = "".join(PAGE.joinpath("templates", name).read_text(encoding="utf-8") for name in files("templates"))
    named = set(re.findall(r'static/([a-z-]+\.[a-z]+)"', pages))
    named |= {f"{sign}.svg" for sign in re.findall(r'panel\("[a-z]+", "([a-z]+)"', pages)}
    loops = re.findall(r"for picture in \(([^)]*)\)", pages)
    named |= {f"step-{picture}.svg" for loop in loops for picture in re.findall(r'"([a-z]+)"', loop)}
    assert named == SERVED


def test_nothing_of_the_page_names_another_site() -> None:
    for folder in ("templates", "static"):
        for name in files(folder):
            text = PAGE.joinpath(folder, name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"""https?:|["'(]//""", text), name
