# SPDX-License-Identifier: Apache-2.0
"""Forms of messages that a sector knows how to read as readings (报文格式), beside the house's own records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from geocloud.errors import UnreadableFile
from geocloud.sensing.parse import Read

__all__ = ["Form", "Messages", "read_file"]

_LINES = 5_000
# A JSON array is read whole; larger files are written as NDJSON.
_ARRAY_BYTES = 256 * 2**20


class Messages(NamedTuple):
    """What messages come to: readings and refusals, each with the place of its message, and how many messages tell
    nothing that is kept."""

    reads: list[Read]
    without_reading: int


Form: TypeAlias = Callable[[bytes, int | None, int], Messages]
"""Reads a JSON array or NDJSON: the text, the most messages it may have, and the place of the first one. InvalidBody
where it is neither, TooLarge."""


def read_file(path: Path, form: Form) -> Iterator[Messages]:
    """The messages of a file, some thousand lines at a time. UnreadableFile, InvalidBody."""
    try:
        with path.open("rb") as file:
            start = file.read(4_096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
            file.seek(3 if file.seek(0) == 0 and file.read(3) == b"\xef\xbb\xbf" else 0)
            if start == b"[":
                body = file.read(_ARRAY_BYTES + 1)
                if len(body) > _ARRAY_BYTES:
                    raise UnreadableFile(
                        f"{path.name} is a JSON array of more than {_ARRAY_BYTES >> 20} MB.",
                        f"{path.name} 是超过 {_ARRAY_BYTES >> 20} MB 的 JSON 数组。",
                        todo_en="Write it as NDJSON, one message a line.", todo_zh="请改为 NDJSON,每行一条报文。",
                    )  # fmt: skip
                yield form(body, None, 1)
                return
            lines: list[bytes] = []
            first = 1
            for line in file:
                lines.append(line.rstrip(b"\r\n"))
                if len(lines) == _LINES:
                    yield form(b"\n".join(lines), None, first)
                    first += len(lines)
                    lines = []
            if lines:
                yield form(b"\n".join(lines), None, first)
    except OSError as exc:
        raise UnreadableFile(f"{path.name} cannot be read: {exc}.", f"无法读取 {path.name}:{exc}。") from None
