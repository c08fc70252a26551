"""The watch over the disk: it measures while its block runs, and leaves nothing behind."""

import os
import tempfile
import threading
from pathlib import Path

import pytest

from bench import disk
from bench.disk import DiskWatch


def test_each_page_is_waited_for_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(disk, "EVERY_SECONDS", 0.0)
    enough = threading.Event()
    synced = os.fsync

    def count(number: int) -> None:
        synced(number)
        if len(watch.seconds) >= 3:
            enough.set()

    monkeypatch.setattr(os, "fsync", count)
    with DiskWatch() as watch:
        assert enough.wait(30)

    assert all(0 < seconds < 30 for seconds in watch.seconds)
    assert list(tmp_path.iterdir()) == []
