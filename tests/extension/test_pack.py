"""The zip, and what the manifest promises."""

import base64
import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from extension.pack import FOLDER, main, pack
from gateway.http.origins import OWN_EXTENSION

MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    pack(first)
    for path in (FOLDER / "src").glob("*.js"):
        os.utime(path)
    pack(second)
    assert first.read_bytes() == second.read_bytes()


def test_the_zip_has_what_chrome_reads_and_nothing_of_python(tmp_path: Path) -> None:
    names = pack(tmp_path / "extension.zip")
    with zipfile.ZipFile(tmp_path / "extension.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == names == sorted(names)
    assert {"manifest.json", "popup.html", "app.html", "options.html", "src/worker.js", "icons/icon-128.png"} <= {
        *names
    }
    assert not [name for name in names if name.endswith((".py", ".pyc")) or "__pycache__" in name]


def test_the_command_says_where_the_zip_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "extension.zip"
    main([str(target)])
    assert str(target) in capsys.readouterr().out
    assert target.exists()


def test_the_gateway_knows_the_id_that_follows_from_the_manifest_s_key() -> None:
    digest = hashlib.sha256(base64.b64decode(MANIFEST["key"])).hexdigest()[:32]
    told = "".join(chr(ord("a") + int(digit, 16)) for digit in digest)
    assert f"chrome-extension://{told}" == OWN_EXTENSION


def test_it_asks_for_no_more_than_it_needs() -> None:
    assert MANIFEST["permissions"] == ["storage", "notifications", "alarms"]
    assert "host_permissions" not in MANIFEST
    assert "content_scripts" not in MANIFEST
    policy = MANIFEST["content_security_policy"]["extension_pages"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy


@pytest.mark.parametrize("size", [16, 32, 48, 128])
def test_the_icons_have_the_size_that_they_are_named_for(size: int) -> None:
    with Image.open(FOLDER / MANIFEST["icons"][str(size)]) as picture:
        assert picture.size == (size, size)


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.html")), ids=lambda page: page.name)
def test_pages_name_nothing_outside_and_have_no_script_in_them(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "://" not in text
    assert text.count("<script") == text.count('<script type="module" src="src/')
