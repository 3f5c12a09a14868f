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
_CHOICES_KEPT = 5_000
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
        self._choices: dict[str, list[Choice]] = {}
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
                self._choices = {}
            numbers = self._number[points]
        return numbers

    def choices(self, rest: str) -> list[Choice]:
        """Every way to go on reading a question whose unread rest, folded, begins here.

        Of choices that take the same number of letters, no two have a character in common.
        """
        known = self._choices
        key = rest if len(rest) < _LONGEST_SYLLABLE else rest[:_LONGEST_SYLLABLE] + _SEPARATOR
        found = known.get(key)
        if found is None:
            if len(known) >= _CHOICES_KEPT:
                known.clear()
            found = known[key] = self._ways(rest)
        return found

    def _ways(self, rest: str) -> list[Choice]:
        first = rest[0]
        typed = self._number[[ord(first)]]
        found = [Choice(1, typed[typed > 0], _TYPED)]
        if "a" <= first <= "z":
            for length in range(1, min(_LONGEST_SYLLABLE, len(rest)) + 1):
                letters = rest[:length]
                begun = _BEGUN if length == len(rest) > 1 else _INITIAL
                taken = np.zeros(0, np.uint16)
                ways = [(True, _READ)]
                if begun == _BEGUN or length == 1 or letters in ("zh", "ch", "sh"):
                    ways.append((False, begun))
                for whole, weight in ways:
                    for table, off in ((self._usual, 0.0), (self._rare, _UNUSUAL)):
                        ids = np.setdiff1d(_read_so(table, letters, whole), taken)
                        taken = np.union1d(taken, ids)
                        found.append(Choice(length, ids, weight - off))
        return [choice for choice in found if choice.ids.size]

    def _add(self, point: int) -> None:
        if self.size >= NUMBERS - 1:
            # No city's names get here; a character beyond is simply not found by itself.
            return
        for place, reading in enumerate(readings_of(chr(point))):
            (self._rare if place else self._usual)[reading].append(self.size)
        self._number[point] = self.size
        self.size += 1


def _read_so(table: dict[str, list[int]], letters: str, whole: bool) -> Ids:
    """Characters with a reading that is these letters, or begins with them."""
    if whole:
        return np.unique(np.array(list(table.get(letters, ())), np.uint16))
    lists = [list(numbers) for reading, numbers in list(table.items()) if reading.startswith(letters)]
    return np.unique(np.array([n for numbers in lists for n in numbers], np.uint16))


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
