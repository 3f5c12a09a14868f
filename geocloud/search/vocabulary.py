# SPDX-License-Identifier: Apache-2.0
"""The characters that names are written with, numbered, and how each of them is read.

A question is matched character by character: a character of a name may be typed itself, by any of its readings in
pinyin, by the beginning of a reading or by its first letter. So heteronyms (多音字) and mixtures such as `liao城` or
`guljd` need no list of spellings for each name.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pypinyin
from numpy.typing import NDArray

__all__ = ["NUMBERS", "READINGS_MAX", "Choice", "Vocabulary", "readings_of"]

# Readings kept for a character; the dictionary puts the usual ones first, and none has more than seven.
READINGS_MAX = 8
# Readings that only words of place names have, so that the dictionary of single characters lacks them (乐亭).
_IN_PLACE_NAMES = {"乐": "lao"}
_SEPARATOR = "\n"
# What a character is worth by how it was typed: itself, a whole reading, the beginning of one, its first letter; and
# what is taken off where the reading is not its usual one.
_TYPED, _READ, _BEGUN, _INITIAL, _UNUSUAL = 1.0, 0.82, 0.68, 0.55, 0.1
_LONGEST_SYLLABLE = 6
# Numbers there can be of characters.
NUMBERS = 65_536

Ids = NDArray[np.uint16]


def readings_of(character: str) -> list[str]:
    """Readings of a Chinese character without tones, the usual one first; none for any other character.

    ü is offered in the three ways people type it: v, yu and u.
    """
    found = pypinyin.pinyin(character, style=pypinyin.Style.NORMAL, heteronym=True, errors="ignore")
    plain = list(found[0][:READINGS_MAX]) if found else []
    if character in _IN_PLACE_NAMES:
        plain.append(_IN_PLACE_NAMES[character])
    readings = []
    for reading in plain:
        readings += [reading.replace("v", u) for u in ("v", "yu", "u")] if "v" in reading else [reading]
    return list(dict.fromkeys(readings))


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to go on reading a question: so many of its letters stand for any of these characters."""

    length: int
    ids: Ids
    weight: float


class Vocabulary:
    """Characters by number; it only grows, and may be read while another thread adds to it."""

    def __init__(self) -> None:
        self._number = np.zeros(0x110000, np.uint16)
        self._lock = threading.Lock()
        self._usual: dict[str, list[int]] = defaultdict(list)
        self._rare: dict[str, list[int]] = defaultdict(list)
        self._classes: dict[tuple[str, str], Ids] = {}
        self.size = 1
        self._add(ord(_SEPARATOR))
        self.separator = 1

    def numbers(self, text: str) -> Ids:
        """Numbers of the characters of a text, 0 for one that is not known."""
        return self._number[_code_points(text)]

    def learn(self, text: str) -> Ids:
        """Numbers of the characters of a text, new ones added."""
        points = _code_points(text)
        numbers = self._number[points]
        if not numbers.all():
            with self._lock:
                for point in np.unique(points[numbers == 0]).tolist():
                    self._add(point)
                self._classes = {}
            numbers = self._number[points]
        return numbers

    def choices(self, rest: str) -> list[Choice]:
        """Every way to go on reading a question whose unread rest, folded, begins here."""
        first = rest[0]
        found = [Choice(1, self._numbered("typed", first), _TYPED)]
        if "a" <= first <= "z":
            initials = [first] + [rest[:2]] * (rest[:2] in ("zh", "ch", "sh"))
            ways = [(len(initial), "begun", initial, _INITIAL) for initial in initials]
            for length in range(1, min(_LONGEST_SYLLABLE, len(rest)) + 1):
                ways.append((length, "whole", rest[:length], _READ))
            if 2 <= len(rest) < _LONGEST_SYLLABLE:
                ways.append((len(rest), "begun", rest, _BEGUN))
            for length, kind, letters, weight in ways:
                found.append(Choice(length, self._numbered(f"{kind} usual", letters), weight))
                found.append(Choice(length, self._numbered(f"{kind} rare", letters), weight - _UNUSUAL))
        return [choice for choice in found if choice.ids.size]

    def _numbered(self, kind: str, text: str) -> Ids:
        if kind == "typed":
            numbers = self._number[[ord(text)]]
            return numbers[numbers > 0]
        classes = self._classes
        ids = classes.get((kind, text))
        if ids is None:
            how, _, whose = kind.partition(" ")
            table = self._usual if whose == "usual" else self._rare
            if how == "whole":
                chosen = list(table.get(text, ()))
            else:
                chosen = [
                    n for reading, numbers in list(table.items()) if reading.startswith(text) for n in list(numbers)
                ]
            ids = classes[kind, text] = np.unique(np.array(chosen, np.uint16))
        return ids

    def _add(self, point: int) -> None:
        if self.size >= NUMBERS - 1:
            # No city's names get here; a character beyond is simply not found by itself.
            return
        for place, reading in enumerate(readings_of(chr(point))):
            (self._rare if place else self._usual)[reading].append(self.size)
        self._number[point] = self.size
        self.size += 1


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
