# SPDX-License-Identifier: Apache-2.0
"""The one way a value gets into an SQL text: bound, numbered, cast.

Clauses are composed by functions that take a `Binder` and return SQL; a value never becomes part of the text.
Placeholders are PostgreSQL's positional `$1 … $n`, as asyncpg sends them.
"""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["Binder", "cache_key", "quote_identifier"]

# PostgreSQL counts the parameters of a statement in 16 bits; asyncpg refuses more than this.
MAX_ARGS: Final = 32_767


class Binder:
    """Collects the arguments of one SQL statement in the order of their placeholders."""

    __slots__ = ("args",)

    def __init__(self) -> None:
        self.args: list[object] = []

    def bind(self, value: object, cast: str | None = None) -> str:
        """The placeholder of a value: `$3`, or `$3::text` with a cast.

        `cast` is an SQL type name written in our own code, never anything a client sent. Raises OverflowError
        when a statement has more arguments than PostgreSQL takes.
        """
        if len(self.args) >= MAX_ARGS:
            raise OverflowError(f"more than {MAX_ARGS} bound values in one statement")
        self.args.append(value)
        placeholder = f"${len(self.args)}"
        return f"{placeholder}::{cast}" if cast else placeholder


def quote_identifier(name: str) -> str:
    """A name from a layer definition as a quoted SQL identifier."""
    if "\0" in name:
        raise ValueError("an SQL identifier cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def cache_key(sql: str, args: list[object]) -> str:
    """A short key that two statements share exactly when SQL and typed arguments are the same."""
    text = "\x1f".join([sql, *(f"{type(a).__name__}:{a!r}" for a in args)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
