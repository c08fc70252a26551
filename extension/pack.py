"""`python -m extension.pack`: the extension as a zip that Chrome's store and its users take.

The same files give the same zip, byte for byte: they are sorted, and none has a time, an owner or a mode of its own.
"""

import argparse
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
KINDS = frozenset({".css", ".html", ".js", ".json", ".png", ".svg"})
"""What Chrome reads. Everything else here is ours: this program, and what Python leaves beside it."""
NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can say."""
PLAIN_FILE = 0o100644 << 16


def files(folder: Path = FOLDER) -> list[Path]:
    """The extension's files, sorted by their names in the zip."""
    return sorted(_found(folder), key=lambda path: path.relative_to(folder).as_posix())


def pack(target: Path, folder: Path = FOLDER) -> list[str]:
    """Write the zip, and give the names in it; a file that is there is replaced."""
    names = []
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path in files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=NO_TIME)
            entry.external_attr = PLAIN_FILE
            entry.create_system = 3  # as on Unix, wherever it is packed
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
            names.append(entry.filename)
    return names


def version(folder: Path = FOLDER) -> str:
    """The extension's version, as its manifest says it."""
    manifest: dict[str, str] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest["version"]


def main(arguments: list[str] | None = None) -> None:
    """Pack, and say where the zip is."""
    parser = argparse.ArgumentParser(prog="python -m extension.pack", description="Pack the extension as a zip.")
    parser.add_argument("target", nargs="?", type=Path, help="the zip; dist/extension-VERSION.zip unless told")
    target = parser.parse_args(arguments).target or Path("dist") / f"extension-{version()}.zip"
    names = pack(target)
    print(f"{target}: {len(names)} files, {target.stat().st_size:,} bytes")


def _found(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in KINDS:
            yield path


if __name__ == "__main__":
    main()
