"""A fixture for pytest, which finds it by itself where the package is installed."""

from __future__ import annotations

import pytest

from .testing import FakeVolume

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def leoflow_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVolume]:
    """A volume that look-ups of the test find: volume.connection("warehouse", "postgres://…")."""
    directory = str(tmp_path / "leoflow")
    monkeypatch.setenv("LEOFLOW_DIR", directory)
    yield FakeVolume(directory)
