# SPDX-License-Identifier: Apache-2.0
"""The version of one feature, as its ETag carries it.

A row is told from every other belief about its feature by when it was believed (sys_from) and from when it held
(valid_from). Both are written into the tag, so that a tag that has gone stale still names the row it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Version", "named_versions", "read_version"]

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# More digits than a timestamp of PostgreSQL has.
_LONGEST = 14


@dataclass(frozen=True, slots=True)
class Version:
    """When a row was written and from when it holds, both in UTC."""

    sys_from: datetime
    valid_from: datetime

    @classmethod
    def of(cls, sys_from: datetime, valid_from: datetime) -> Version:
        """The version of a row as the driver gives it: infinite times are the ends of its calendar, without a zone."""
        return cls(sys_from.replace(tzinfo=UTC), valid_from.replace(tzinfo=UTC))

    def text(self) -> str:
        """Both as microseconds since 2000 in base 36, `~` before negative ones, with a dot between."""
        return f"{_write(self.sys_from)}.{_write(self.valid_from)}"

    def tag(self, variant: str) -> str:
        """The strong ETag of one representation of this version (RFC 9110, 8.8.3)."""
        return f'"{self.text()}.{variant}"'


def named_versions(if_match: str) -> list[Version] | None:
    """The versions an If-Match field names, whatever representation they came with; None for `*`.

    Weak tags and tags of another making never match (RFC 9110, 13.1.1), so they are left out.
    """
    if if_match.strip() == "*":
        return None
    return list(_versions(part.strip() for part in if_match.split(",")))


def read_version(text: str) -> Version | None:
    """The version that `Version.text` wrote; None for anything else."""
    written, _, holds = text.partition(".")
    known, valid = _read(written), _read(holds)
    return None if known is None or valid is None else Version(known, valid)


def _versions(tags: Iterable[str]) -> Iterable[Version]:
    for tag in tags:
        parts = tag.strip('"').split(".")
        if not tag.startswith('"') or len(parts) != 3:
            continue
        written, holds = _read(parts[0]), _read(parts[1])
        if written is not None and holds is not None:
            yield Version(written, holds)


def _write(moment: datetime) -> str:
    number = (moment - _EPOCH) // _MICROSECOND
    digits, rest = "", abs(number)
    while rest:
        rest, place = divmod(rest, 36)
        digits = _DIGITS[place] + digits
    return ("~" if number < 0 else "") + (digits or "0")


def _read(text: str) -> datetime | None:
    negative = text.startswith("~")
    digits = text.removeprefix("~")
    if not 0 < len(digits) <= _LONGEST or not all(c in _DIGITS for c in digits):
        return None
    number = int(digits, 36)
    try:
        return _EPOCH + (-number if negative else number) * _MICROSECOND
    except OverflowError:
        return None
