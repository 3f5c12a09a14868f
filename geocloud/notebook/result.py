# SPDX-License-Identifier: Apache-2.0
"""What a process gave: each output as what a planner works with, fetched when it is first looked at."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from html import escape
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import pandas as pd

from geocloud.notebook.client import wrong

__all__ = ["File", "Result"]

_SHOWN_MAX = 4_000_000
_DIVISION = re.compile(r"[1-9]\d{5}(\d{3}(\d{3})?)?")


@dataclass(frozen=True, repr=False)
class File:
    """An output that is a file: its bytes, media type, and the name to save it under."""

    name: str
    media_type: str
    data: bytes

    def save(self, path: str | Path | None = None) -> Path:
        """Writes the file to `path`, or into it if it is a folder, or here under its own name; gives the path."""
        to = Path(path) if path is not None else Path(self.name)
        if to.is_dir():
            to /= self.name
        to.write_bytes(self.data)
        return to

    def __repr__(self) -> str:
        return f"<File {self.name} {self.media_type} {_size(len(self.data))}>"

    def _repr_html_(self) -> str:
        kind = self.media_type.partition(";")[0]
        where = f"data:{kind};base64,{base64.b64encode(self.data).decode()}"
        shown = len(self.data) <= _SHOWN_MAX
        link = escape(self.name)
        if shown:
            link = f'<a download="{escape(self.name)}" href="{where}">{link}</a>'
        page = ""
        if shown and kind == "text/html":
            # A page of words that others sent: it is drawn and may do nothing.
            page = f'<iframe sandbox srcdoc="{escape(self.data.decode())}" {_FRAME}></iframe>'
        elif shown and kind == "application/pdf":
            page = f'<embed type="{kind}" src="{where}" {_FRAME}>'
        return (
            f'<p style="margin:4px 0 8px">{link} <span style="color:#5b6a72">{_size(len(self.data))}</span></p>{page}'
        )


_FRAME = 'style="width:100%;height:640px;border:1px solid #dfe4e6;border-radius:6px;background:#fff"'


class Ended(Protocol):
    """What a result asks of its job."""

    id: str

    @property
    def process(self) -> str:
        """Id of the process."""

    def output(self, name: str) -> tuple[bytes, Message]:
        """Bytes and headers of one output."""

    def is_json(self, name: str) -> bool:
        """Whether an output is JSON."""


class Result(Mapping[str, Any]):
    """Outputs by name, as `result["table"]` or `result.table`.

    JSON is a dict, a feature collection a GeoDataFrame in CRS84 (longitude first), CSV a DataFrame whose codes stay
    text, anything else a File.
    """

    def __init__(self, job: Ended, titles: Mapping[str, str], frame: Callable[[dict[str, Any]], Any]) -> None:
        self.job = job
        self._titles, self._frame = dict(titles), frame
        self._kept: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._titles:
            raise KeyError(f"{name}: {', '.join(self._titles)}")
        if name not in self._kept:
            data, headers = self.job.output(name)
            self._kept[name] = read(name, data, headers, self._frame)
        return self._kept[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._titles:
            raise AttributeError(f"{name}: {', '.join(self.__dict__.get('_titles', ()))}")
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._titles)

    def __len__(self) -> int:
        return len(self._titles)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._titles]

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 by which the same question to the same data is known again; None where the process tells none."""
        for value in (self[n] for n in self._titles if self.job.is_json(n)):
            if isinstance(value, dict) and "fingerprint" in value:
                return str(value["fingerprint"])
        return None

    def __repr__(self) -> str:
        return f"<Result {self.job.process}: {', '.join(self._titles)}>"

    def _repr_html_(self) -> str:
        left = 'style="text-align:left"'
        rows = "".join(
            f"<tr><td {left}><code>{escape(n)}</code></td><td {left}>{escape(t)}</td></tr>"
            for n, t in self._titles.items()
        )
        return (
            f"<table><caption>{escape(self.job.process)} · {escape(self.job.id)}</caption><tbody>{rows}</tbody></table>"
        )


def read(name: str, data: bytes, headers: Message, frame: Callable[[dict[str, Any]], Any]) -> Any:
    """A body by its media type."""
    media_type = headers.get("content-type", "application/octet-stream")
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        value = json.loads(data)
        if isinstance(value, dict) and value.get("type") == "FeatureCollection":
            return frame(value)
        return value
    if kind == "text/csv":
        return _table(data, name)
    said = re.search(r"filename\*=UTF-8''([^;]+)", headers.get("content-disposition", ""))
    own = Path(unquote(said[1])).name if said else f"{name}.{kind.rpartition('/')[2]}"
    return File(own, media_type, data)


def _table(data: bytes, name: str) -> pd.DataFrame:
    """CSV with numbers as numbers; codes keep their zeros."""
    try:
        frame = pd.read_csv(io.BytesIO(data), dtype=str, encoding="utf-8-sig")
    except ValueError as exc:
        raise wrong(f"`{name}` is no table: {exc}.", f"{name} 不是表格:{exc}。") from None
    for column in frame.columns:
        known = frame[column].dropna()
        if f"{column}_title" in frame or known.empty or _are_codes(known):
            continue
        numbers = pd.to_numeric(known, errors="coerce")
        if numbers.notna().all():
            frame[column] = pd.to_numeric(frame[column])
    return frame


def _are_codes(texts: pd.Series) -> bool:
    """Whether digits are names: with leading zeros, of a division, or longer than a number is."""
    zeros = texts.str.fullmatch(r"0\d+").any()
    return bool(
        zeros or texts.str.fullmatch(r"\d{15,}").any() or texts.map(lambda t: bool(_DIVISION.fullmatch(t))).all()
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"
