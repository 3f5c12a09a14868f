# SPDX-License-Identifier: Apache-2.0
"""Messages of car parks (停车数据报文) as readings.

The kinds are those that DB4401/T 133-2021 (Guangzhou's local standard) lists: state of a car park, of a space, vehicles
in and out, vacancy, road-side spaces, reservation. `ParkID` and `SpaceID` are its words; all other member names, the
codes of states and the JSON form are the house's own, to be compared with the text or with what a supplier sends;
`ogc_config/parking/message_names.yaml` translates a supplier's words. Plates and whatever else a message tells of a
vehicle or its driver are never read, so they are neither kept nor put aside.

    {"kind": "vacancy", "ParkID": "K37150000001", "Time": "2026-11-29 08:00:00", "FreeSpaces": 23}
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from geocloud.errors import InvalidBody, TooLarge
from geocloud.features.literals import parse_instant
from geocloud.sectors.culture.hours import BEIJING
from geocloud.sectors.parking.live import FREE, LOTS, OCCUPIED
from geocloud.sectors.parking.tables import MessageNames, message_names
from geocloud.sensing.forms import Messages
from geocloud.sensing.model import Reading, Refused, plain
from geocloud.sensing.parse import Read

__all__ = ["BERTHS", "KINDS", "read_messages", "read_text"]

BERTHS = "parking.berth"
_UNIT = "1"
_LAST_MS = 253_402_300_799_000
_STATES: Final[Mapping[Any, float]] = {0: 0.0, 1: 1.0, "0": 0.0, "1": 1.0, "free": 0.0, "occupied": 1.0,
                                       "空闲": 0.0, "占用": 1.0}  # fmt: skip
_OPEN: Final[Mapping[Any, float]] = {0: 0.0, 1: 1.0, "0": 0.0, "1": 1.0, "closed": 0.0, "open": 1.0, "停用": 0.0,
                                     "开放": 1.0}  # fmt: skip
_PASSAGE: Final[Mapping[Any, float]] = {"in": 1.0, "out": 0.0, "驶入": 1.0, "驶离": 0.0}
_WHOSE = ("ParkID", "SpaceID")
_WHOLE = re.compile(r"-?[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class _Part:
    """A member of a message that is a reading: of what device, of which property, and which words stand for numbers."""

    member: str
    device: str
    layer: str
    property: str
    words: Mapping[Any, float] | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of message: at least one of its parts must be there, unless it may tell of vehicles alone."""

    parts: tuple[_Part, ...]
    may_lack: bool = False


_LOT_FREE = _Part("FreeSpaces", "ParkID", LOTS, FREE)
_LOT_TAKEN = _Part("OccupiedSpaces", "ParkID", LOTS, OCCUPIED)
_SPACE = _Part("State", "SpaceID", BERTHS, OCCUPIED, _STATES)
KINDS: Final[Mapping[str, _Kind]] = {
    "lot_state": _Kind((_Part("State", "ParkID", LOTS, "open", _OPEN), _LOT_FREE, _LOT_TAKEN)),
    "space_state": _Kind((_SPACE,)),
    "entry": _Kind((_LOT_FREE, _LOT_TAKEN), may_lack=True),
    "exit": _Kind((_LOT_FREE, _LOT_TAKEN), may_lack=True),
    "vacancy": _Kind(
        (
            _LOT_FREE,
            _LOT_TAKEN,
            _Part("FreeCharging", "ParkID", LOTS, "free_charging"),
            _Part("FreeAccessible", "ParkID", LOTS, "free_accessible"),
        )
    ),
    "road_state": _Kind((_LOT_FREE, _LOT_TAKEN)),
    "road_passage": _Kind((_Part("Direction", "SpaceID", BERTHS, OCCUPIED, _PASSAGE),)),
    "road_space": _Kind((_SPACE,)),
    "reservation": _Kind((_Part("ReservedSpaces", "ParkID", LOTS, "reserved_spaces"),), may_lack=True),
}
"""By kind: 停车场状态, 车位状态, 入场, 出场, 空位, 路段状态, 路侧驶入驶离, 路侧泊位状态, 预约."""


def read_messages(messages: Iterable[Any], names: MessageNames, first: int = 1) -> Messages:
    """Readings of messages as JSON has them; places count from `first`.

    Times are RFC 3339, epoch milliseconds, or `2026-11-29 08:00:00` and `20261129080000`, taken as Beijing time.
    """
    reads: list[Read] = []
    without = 0
    for place, message in enumerate(messages, first):
        found = _read(place, message, names)
        reads += found
        without += not found
    return Messages(reads, without)


def read_text(body: bytes, most: int | None = None, first: int = 1, names: MessageNames | None = None) -> Messages:
    """Messages of a text: a JSON array, or NDJSON, of which a broken line is refused by itself.

    InvalidBody for a broken array; TooLarge for more than `most` messages. `names`: the city's table if unset.
    """
    names = names or message_names()
    if body.lstrip()[:1] == b"[":
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            raise InvalidBody(f"The messages are not JSON: {exc}.", f"报文不是 JSON:{exc}。") from None
        return read_messages(_limited(document, most), names, first)
    reads: list[Read] = []
    without = 0
    lines = [(n, line) for n, line in enumerate(body.split(b"\n"), first) if line.strip()]
    for place, line in _limited(lines, most):
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            # What cannot be read may hold a plate: only that there was something is kept.
            reads.append(Refused(place, "not-a-reading", f"{len(line)} bytes"))
            continue
        found = read_messages([message], names, place)
        reads += found.reads
        without += found.without_reading
    return Messages(reads, without)


def _limited(found: list[Any], most: int | None) -> list[Any]:
    if most is not None and len(found) > most:
        raise TooLarge(
            f"There are more than {most:,} messages.", f"报文超过 {most:,} 条。",
            todo_en="Send them in several requests.", todo_zh="请分多次发送。", maximum=most,
        )  # fmt: skip
    return found


def _read(place: int, message: Any, names: MessageNames) -> list[Read]:
    if not isinstance(message, dict):
        return [Refused(place, "not-a-reading", f"{type(message).__name__}")]

    def member(name: str) -> Any:
        return message.get(names.members.get(name, name))

    told = member("kind")
    kind = KINDS.get(names.kinds.get(told, told)) if isinstance(told, str) else None
    if kind is None:
        return [Refused(place, "not-a-reading", _shown(member, ("kind", *_WHOSE, "Time")))]
    parts = [p for p in kind.parts if member(p.member) is not None]
    if not parts:
        missing = ("kind", *_WHOSE, "Time")
        return [] if kind.may_lack else [Refused(place, "not-a-number", _shown(member, missing))]
    at = _instant(member("Time"))
    return [_reading(place, part, member, at) for part in parts]


def _reading(place: int, part: _Part, member: Callable[[str], Any], at: datetime | None) -> Read:
    device, value = member(part.device), member(part.member)
    if type(device) is int:
        device = str(device)
    number = _number(value) if part.words is None else part.words.get(value) if _hashable(value) else None
    if not isinstance(device, str) or not device:
        reason = "no-datastream"
    elif at is None:
        reason = "bad-time"
    elif number is None:
        reason = "not-a-number"
    else:
        return Reading(place, (part.layer, device, part.property), at, number, _UNIT, None)
    return Refused(place, reason, _shown(member, ("kind", *_WHOSE, "Time", part.member)))


def _number(value: Any) -> float | None:
    if type(value) is str and _WHOLE.fullmatch(value):
        value = int(value)
    if type(value) not in (int, float) or abs(value) > 1e9 or not math.isfinite(value):
        return None
    return float(value)


def _hashable(value: Any) -> bool:
    return isinstance(value, str) or type(value) is int


def _instant(value: Any) -> datetime | None:
    if type(value) is int:
        return datetime.fromtimestamp(value / 1_000, UTC) if 0 <= value <= _LAST_MS else None
    if not isinstance(value, str):
        return None
    at = parse_instant(value)
    if at is not None:
        return at
    for form in ("%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S"):
        try:
            return datetime.strptime(value, form).replace(tzinfo=BEIJING).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None


def _shown(member: Callable[[str], Any], names: Iterable[str]) -> str:
    """What is shown of a message that is put aside: the members that are read, and no others."""
    told = {n: str(v)[:60] for n in names if (v := member(n)) is not None}
    return plain(orjson.dumps({k: plain(v) for k, v in told.items()}).decode())
