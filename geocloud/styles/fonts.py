# SPDX-License-Identifier: Apache-2.0
"""Fonts for map labels and legends: named by settings, else found on the machine by fontconfig."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from geocloud.settings import StyleSettings

__all__ = ["STACKS", "FontFile", "Fonts", "Stack", "find_fonts"]

log = logging.getLogger(__name__)

Stack = Literal["Sans Regular", "Sans Bold", "Sans Italic"]
# What `text-font` of our styles may name; the words bold and italic are understood by map libraries too.
STACKS: tuple[Stack, ...] = ("Sans Regular", "Sans Bold", "Sans Italic")
# Families with all of GB 18030's common characters, the best for maps first; fontconfig knows any other.
_FAMILIES = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei")
_TIMEOUT_S = 20


@dataclass(frozen=True)
class FontFile:
    """One face: a file and its number within the collection."""

    path: Path
    index: int = 0


@dataclass(frozen=True)
class Fonts:
    """Faces by weight, the first that has a character draws it; `chinese` tells whether one of them has Chinese."""

    regular: tuple[FontFile, ...] = ()
    bold: tuple[FontFile, ...] = ()
    chinese: bool = False

    def faces(self, stack: Stack) -> tuple[FontFile, ...]:
        """The faces of a font stack; italic is the regular one slanted, as Chinese type has none of its own."""
        return self.bold or self.regular if stack == "Sans Bold" else self.regular

    def made_bold(self, stack: Stack) -> bool:
        """True when there is no bold face, so that the regular one is thickened."""
        return stack == "Sans Bold" and not self.bold


def find_fonts(settings: StyleSettings) -> Fonts:
    """The fonts to draw with: those of the settings, else the best that fontconfig knows.

    Without a Chinese font the rest goes on: Latin labels are drawn, Chinese ones are left to the browser's own fonts,
    and the log says what to install.
    """
    given = [(FontFile(p, _simplified_face(p)),) if p else () for p in (settings.font_regular, settings.font_bold)]
    regular = given[0] or _found("Regular")
    bold = given[1] or (() if given[0] else _found("Bold"))
    fonts = Fonts(regular, bold, chinese=bool(given[0]) or _has_chinese())
    if not fonts.chinese:
        log.warning(
            "No font with Chinese characters was found; map labels are left to the browser's own fonts. "
            "Install fonts-noto-cjk or name a file with GEOCLOUD_FONT_REGULAR. "
            "未找到中文字体,地图注记将使用浏览器自带字体;请安装 fonts-noto-cjk 或设置 GEOCLOUD_FONT_REGULAR。"
        )
    return fonts


@lru_cache(maxsize=8)
def _found(style: str) -> tuple[FontFile, ...]:
    """The best face fontconfig has for Chinese, and one with many other scripts behind it."""
    faces = []
    for family in (*_FAMILIES, ":lang=zh-cn"):
        if lines := _fontconfig("fc-list", f"{family}:style={style}", "file", "index"):
            faces.append(_parse(sorted(lines)[0]))
            break
    plain = _fontconfig("fc-match", "-f", "%{file}: index=%{index}\n", f"sans:style={style}")
    faces += [_parse(line) for line in plain]
    return tuple(dict.fromkeys(f for f in faces if f.path.is_file()))


@lru_cache(maxsize=1)
def _has_chinese() -> bool:
    return bool(_fontconfig("fc-list", ":lang=zh-cn", "file"))


def _fontconfig(*command: str) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in done.stdout.splitlines() if line.strip()]


def _parse(line: str) -> FontFile:
    path, _, rest = line.partition(":")
    index = rest.partition("index=")[2].split(":")[0].strip()
    # The upper half of fontconfig's index numbers the instances of a variable font.
    return FontFile(Path(path.strip()), int(index or 0) & 0xFFFF)


def _simplified_face(path: Path) -> int:
    """In a collection of regional faces, the one for simplified Chinese."""
    import freetype

    faces = freetype.Face(str(path)).num_faces
    for index in range(faces):
        name = freetype.Face(str(path), index).family_name or b""
        if name.endswith((b" SC", b" CN", b" GB")):
            return index
    return 0
