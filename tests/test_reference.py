"""The pages of metrics and of settings say what the code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dfd_core.environment import load_settings

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", ["metrics.md", "settings.md"])
def test_pages_are_as_the_code_writes_them(page: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "deploy" / "reference.py", tmp_path], check=True, cwd=ROOT)
    assert (tmp_path / page).read_text() == (ROOT / "docs" / page).read_text(), "run python deploy/reference.py"


def test_the_page_of_settings_has_every_key() -> None:
    page, settings = (ROOT / "docs" / "settings.md").read_text(), load_settings(environ={})
    for section in type(settings).__dataclass_fields__:
        assert f"## [{section}]" in page
        for key in type(getattr(settings, section)).__dataclass_fields__:
            assert f"| `{key}` |" in page, f"{section}.{key}"
