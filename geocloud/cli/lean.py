# SPDX-License-Identifier: Apache-2.0
"""A quicker start: large packages that libraries import only because they are installed are left out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["leave_out"]


class _Absent(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is left out", name=name)
        return None


def leave_out(*names: str) -> None:
    """From now on packages of these names cannot be imported, as if they were not installed.

    What is imported already stays. For a process that runs one command and ends.
    """
    sys.meta_path.insert(0, _Absent(names))
