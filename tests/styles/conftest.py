# SPDX-License-Identifier: Apache-2.0
"""The project's own layers as a catalogue, and every style that can be made of it."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from geocloud import styles
from geocloud.catalogue.registry import Catalogue
from tests.ogc.conftest import make_catalogue

BASE = "http://city.example:8600"
BBOX = (115.27, 35.75, 116.55, 37.05)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return make_catalogue()


def make(
    catalogue: Catalogue,
    style_id: str,
    language: Literal["zh", "en"] = "zh",
    *,
    dark: bool = False,
    base: bool | None = None,
) -> dict[str, Any]:
    """A generated style."""
    of = styles.subject(catalogue, style_id, base=base)
    return styles.generate(of, styles.Wanted(BASE, language, dark, "Title", BBOX))


@pytest.fixture(scope="session")
def every_style(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """All ids in both languages and themes, with and without the base map."""
    found = {}
    for style_id in styles.subjects(catalogue):
        for language in ("zh", "en"):
            for dark in (False, True):
                for base in (None, True, False):
                    name = f"{style_id} {language} {'dark' if dark else 'light'} base={base}"
                    found[name] = make(catalogue, style_id, language, dark=dark, base=base)  # type: ignore[arg-type]
    return found
