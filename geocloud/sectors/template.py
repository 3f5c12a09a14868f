# SPDX-License-Identifier: Apache-2.0
"""A new sector as a package of its own: a layer, a process and their tests, written from the house's template."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from geocloud.catalogue.spec import RESERVED_THEMES
from geocloud.errors import CatalogueError

__all__ = ["write_sector"]

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
_TEMPLATES = Path(__file__).resolve().parent.parent / "data" / "sector"


def write_sector(name: str, parent: Path) -> list[Path]:
    """Writes the package `geocloud_<name>` below parent/geocloud-<name>; the files written.

    `name` becomes the sector, the theme of its layer and, with `-count`, the id of its process. Raises CatalogueError
    for a name that cannot be a theme, and where the folder is there and holds anything.
    """
    if not _NAME.fullmatch(name) or name in RESERVED_THEMES or name.startswith("pg_"):
        raise CatalogueError(
            f"`{name[:60]}` is no name of a sector.", f"{name[:60]} 不能作为行业模块名称。",
            todo_en="Write 2 to 31 small Latin letters, digits and underscores, such as parking.",
            todo_zh="请用 2 至 31 个小写字母、数字和下划线,例如 parking。",
        )  # fmt: skip
    dashed, package = name.replace("_", "-"), f"geocloud_{name}"
    folder = parent / f"geocloud-{dashed}"
    words = {"name": name, "dashed": dashed, "package": package, "process": f"{dashed}-count"}
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{package}/__init__.py": "init.py",
        f"{package}/count.py": "count.py",
        f"{package}/panel.py": "panel.py",
        f"{package}/layers/{name}/place.yaml": "place.yaml",
        f"tests/test_{name}.py": "test.py",
    }
    try:
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(folder)
        written = []
        for place, template in files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
            path.write_text(Template(text).substitute(words), encoding="utf-8")
            written.append(path)
    except FileExistsError:
        raise CatalogueError(
            f"{folder} is there and is not an empty folder.", f"{folder} 已存在且不是空目录。",
            todo_en="Choose another name or --folder.", todo_zh="请换一个名称或 --folder。",
        ) from None  # fmt: skip
    except OSError as exc:
        raise CatalogueError(
            f"{folder} cannot be written: {exc}.", f"无法写入 {folder}:{exc}。",
            todo_en="Choose another --folder.", todo_zh="请换一个 --folder。",
        ) from None  # fmt: skip
    return written
