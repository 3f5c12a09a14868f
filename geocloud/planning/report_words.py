# SPDX-License-Identifier: Apache-2.0
"""What every report of the planning work says in one of two languages."""

from __future__ import annotations

from collections.abc import Mapping

from geocloud.errors import Language

__all__ = ["Words"]


class Words:
    """The language of a report, and texts in it."""

    def __init__(self, language: Language) -> None:
        self.language, self.zh = language, language == "zh"

    def _pick(self, zh: str, en: str) -> str:
        return zh if self.zh else en

    def _text(self, both: Mapping[str, str] | None) -> str:
        return both[self.language] if both else ""
