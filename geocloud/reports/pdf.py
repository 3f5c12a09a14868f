# SPDX-License-Identifier: Apache-2.0
"""Reports as PDF, set by Typst in this process: no network, fonts embedded, the same bytes for the same report."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import orjson
import typst

from geocloud.errors import Language
from geocloud.reports.maps import map_svg
from geocloud.reports.model import COLOURS, SIGNS, Map, Report

__all__ = ["map_png", "render_pages", "render_pdf"]


def render_pdf(report: Report) -> bytes:
    """An A4 document: verdict, map and numbers on the first page, then block by block."""
    # Without a date of now in it, the same report gives the same bytes.
    return _compiled(_files(report), format="pdf", timestamp=0)


def render_pages(report: Report, dpi: int = 100) -> list[bytes]:
    """The pages of the same document as PNG."""
    made: Any = typst.compile(cast("Any", _files(report)), format="png", ppi=dpi)
    return list(made) if isinstance(made, list) else [made]


def _files(report: Report) -> dict[str, bytes]:
    files: dict[str, bytes] = {"main": _template()}
    document = _plain(report, report.language, files)
    document |= {"tones": dict(COLOURS), "signs": dict(SIGNS), "marked": report.marked}
    files["report.json"] = orjson.dumps(document)
    return files


def map_png(found: Map, language: Language = "zh", dpi: int = 200) -> bytes:
    """The map as PNG."""
    page = b'#set page(width: auto, height: auto, margin: 0pt)\n#image("map.svg", width: 480pt)\n'
    files = {"main": page, "map.svg": map_svg(found, language).encode()}
    return _compiled(files, format="png", ppi=dpi)


def _compiled(files: Any, **how: Any) -> bytes:
    # Files in memory are taken by `compile`, though its type hints do not say so.
    made: Any = typst.compile(files, **how)
    return bytes(made[0] if isinstance(made, list) else made)


@lru_cache(maxsize=1)
def _template() -> bytes:
    return (Path(__file__).parent / "templates" / "report.typ").read_bytes()


def _plain(value: Any, language: Language, files: dict[str, bytes]) -> Any:
    """The report as JSON; each block says what it is, maps become files."""
    if isinstance(value, Map):
        name = f"map{len(files)}.svg"
        files[name] = map_svg(value, language).encode()
        return {"kind": "Map", "file": name, "caption": value.caption}
    if is_dataclass(value):
        plain = {f.name: _plain(getattr(value, f.name), language, files) for f in fields(value)}
        return {"kind": type(value).__name__, **plain}
    if isinstance(value, tuple | list):
        return [_plain(v, language, files) for v in value]
    return value
