# SPDX-License-Identifier: Apache-2.0
"""How far a job is: a bar in a notebook, a line in a terminal, nothing in a program that nobody watches."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any, Literal

__all__ = ["Progress"]

# What is done sooner needs no bar.
_SILENT_S = 0.4
_WORDS = {
    "successful": ("完成", "done"),
    "failed": ("失败", "failed"),
    "dismissed": ("已取消", "called off"),
}


class Progress:
    """Shows a title, a percentage and what is being done; `on` None finds out whether somebody looks."""

    def __init__(self, title: str, language: Literal["zh", "en"], on: bool | None = None) -> None:
        self._title, self._en = title, language == "en"
        self._began = time.monotonic()
        self._notebook = _in_notebook()
        self._on = (self._notebook or sys.stderr.isatty()) if on is None else on
        self._handle: Any = None
        self._told = ""

    def tell(self, percent: int, message: str) -> None:
        """Where the job stands; repeated words are not written again."""
        if self._on and time.monotonic() - self._began >= _SILENT_S:
            self._write(percent, message)

    def end(self, status: str) -> None:
        """The last words, if any have been said before."""
        if self._told:
            words = _WORDS.get(status, (status, status))[self._en]
            seconds = time.monotonic() - self._began
            self._write(100 if status == "successful" else 0, f"{words} {seconds:.1f} s")
            if not self._notebook:
                print(file=sys.stderr)

    def _write(self, percent: int, message: str) -> None:
        line = f"{self._title} {percent:3d}% {message}"
        if line == self._told:
            return
        wide, self._told = len(self._told), line
        if not self._notebook:
            print("\r" + line + " " * max(0, wide - len(line)), end="", file=sys.stderr, flush=True)
            return
        from IPython.display import HTML, display

        bar = (
            f'<div style="font-size:12px;color:#5b6a72;display:flex;gap:12px;align-items:center">{escape(self._title)}'
            f'<span style="width:160px;height:6px;border-radius:3px;background:#dfe4e6;overflow:hidden">'
            f'<span style="display:block;height:6px;width:{percent}%;background:#1c6e8c"></span></span>'
            f"{escape(message)}</div>"
        )
        if self._handle is None:
            self._handle = display(HTML(bar), display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(HTML(bar))  # type: ignore[no-untyped-call]


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython  # type: ignore[attr-defined]

    return type(get_ipython()).__name__ == "ZMQInteractiveShell"
