# SPDX-License-Identifier: Apache-2.0
"""Tables as CSV (RFC 4180) that people open in Excel and WPS."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["csv_table"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[object] | Mapping[str, object]]) -> bytes:
    """A line of names and a line for each row, UTF-8 with the mark by which office programs know it.

    A row is its values in the order of the columns, or values by column; what a column lacks, and None, is empty. Text
    that would be taken for a formula gets an apostrophe in front, so that nobody's field runs on another's machine.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        values = [row.get(c) for c in columns] if isinstance(row, Mapping) else row
        writer.writerow([_plain(v) for v in values])
    return text.getvalue().encode("utf-8-sig")


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
