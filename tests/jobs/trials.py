# SPDX-License-Identifier: Apache-2.0
"""Processes of the tests: one that answers, and some that go wrong in every way a process can."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run

__all__ = ["trials"]


def _both(text: str) -> Text:
    return Text(zh=f"{text}(中文)", en=text)


def _echo(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    run.progress(0.5, "一半", "half")
    with run.reader.cursor() as cur:
        cur.execute("SELECT current_user::text, current_setting('transaction_read_only')")
        role, read_only = cur.fetchone() or ("", "")
    said = {
        "said": inputs["text"],
        "times": inputs["times"],
        "role": role,
        "read_only": read_only,
        "fingerprint": "f" * 64,
    }
    return {"answer": said, "file": Blob(inputs["text"].encode(), "text/plain; charset=utf-8", "文件.txt")}


def _sleep(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    """Tells its process id first, then sleeps in the database, where only the end of the session wakes it."""
    if "note" in inputs:
        with Path(inputs["note"]).open("a") as file:
            print(os.getpid(), file=file)
    run.progress(0.25, "睡眠中", "sleeping")
    with run.reader.cursor() as cur:
        cur.execute("SELECT pg_sleep(%s)", (inputs["seconds"],))
    return {"answer": {"slept": inputs["seconds"]}}


def _refuse(_run: Run, _inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    raise InvalidParameter(
        "The value is odd.", "数值为奇数。", todo_en="Give an even one.", todo_zh="请给偶数。", parameter="x", gap_m=1.5
    )


def _break(_run: Run, _inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    raise RuntimeError("secret words of the inside")


def _die(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return {}


def _eat(_run: Run, _inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    return {"answer": {"bytes": len(bytearray(3 << 30))}}


def _write(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    with run.writer() as conn, conn.cursor() as cur:
        cur.execute("SELECT current_user::text")
        role = (cur.fetchone() or ("",))[0]
    return {"answer": {"role": role}}


def _process(
    name: str, run: Any, inputs: tuple[Input, ...] = (), *, long: bool = False, writes: bool = False
) -> Process:
    def layer(given: Mapping[str, Any]) -> str | None:
        return "test.asset" if writes and given.get("keep") else None

    outputs = [Output("answer", _both("Answer"))]
    if name == "echo":
        outputs.append(Output("file", _both("File"), "text/plain"))
    return Process(
        name, "1.0.0", _both(name), _both(f"It is {name}"), inputs, tuple(outputs), run, long=long, writes=layer
    )


_PROCESSES = (
    _process(
        "echo", _echo,
        (
            Input("text", _both("Text"), {"type": "string", "maxLength": 20}, required=True),
            Input("times", _both("Times"), {"type": "integer", "minimum": 1, "default": 3}),
        ),
    ),
    _process(
        "sleep", _sleep,
        (
            Input("seconds", _both("Seconds"), {"type": "number"}, required=True),
            Input("note", _both("Note"), {"type": "string"}),
        ),
    ),
    _process("doze", _sleep, (Input("seconds", _both("Seconds"), {"type": "number"}, required=True),), long=True),
    _process("refuse", _refuse),
    _process("break", _break),
    _process("die", _die),
    _process("eat", _eat),
    _process("write", _write, (Input("keep", _both("Keep"), {"type": "boolean"}),), writes=True),
)  # fmt: skip

# What an entry point of the group `geocloud.sectors` offers.
PROCESSES = _PROCESSES


def trials() -> dict[str, Process]:
    return {p.id: p for p in _PROCESSES}
