"""The modules, classes and functions that the pages name exist."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from importlib.util import find_spec

import pytest

from replica_cli.config.catalogue import all_settings
from tests.docs.documents import PAGES, ROOT

_PACKAGES = sorted(path.parent.name for path in (ROOT / "replica_cli").glob("*/__init__.py"))
_NAME = re.compile(rf"`((?:{'|'.join(_PACKAGES)})(?:\.\w+)+)`")
_SETTINGS = {setting.name for setting in all_settings()}
NAMES = sorted({name for page in PAGES for name in _NAME.findall(page.read_text())} - _SETTINGS)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_backquotes_exists(name: str) -> None:
    parts = ["replica_cli", *name.split(".")]
    length = next(n for n in range(len(parts), 0, -1) if _is_module(".".join(parts[:n])))
    reduce(getattr, parts[length:], importlib.import_module(".".join(parts[:length])))


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_the_way_of_a_row_is_named() -> None:
    assert len(NAMES) > 30
