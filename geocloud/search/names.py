# SPDX-License-Identifier: Apache-2.0
"""Distinct names packed into arrays, and the scan that finds a question in them.

All names lie one after the other as numbers of characters. For each character the places where it stands are kept, so
a scan begins at the places of what the question begins with and follows from there; nothing else is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geocloud.search.text import stem_lengths
from geocloud.search.vocabulary import NUMBERS, Vocabulary

__all__ = ["Hits", "Names"]

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
_Found = tuple[Integers, Floats]
# Letters up to which the ways to read them are too few to be worth bringing together.
_FEW_LETTERS = 8
# What a match is worth by where it lies: all of a name, all but its suffix, its beginning, somewhere within.
_WHOLE, _STEM, _BEGINNING, _WITHIN, _COVERAGE = 1.0, 0.96, 0.78, 0.5, 0.12


@dataclass(frozen=True, slots=True)
class Hits:
    """Names that match, ascending, and how well (0 to 1)."""

    names: Integers
    fit: Floats

    def __len__(self) -> int:
        return int(self.names.size)


class Names:
    """Folded distinct names, not to be changed; a name's number is its place in the array it was made from."""

    def __init__(self, folded: pa.Array, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._characters = vocabulary.learn("\n".join(folded.to_pylist()) + "\n")
        ends = np.flatnonzero(self._characters == vocabulary.separator).astype(np.int32)
        self._starts = np.concatenate([np.zeros(1, np.int32), ends[:-1] + np.int32(1)])
        self._lengths = ends - self._starts
        self._stems = stem_lengths(folded).to_numpy(zero_copy_only=False).astype(np.uint16)
        self._places = np.argsort(self._characters, kind="stable").astype(np.int32)
        counts = np.bincount(self._characters, minlength=vocabulary.size + 1)
        self._first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._starts.size)

    @cached_property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        arrays = (self._characters, self._starts, self._lengths, self._stems, self._places, self._first)
        return int(sum(a.nbytes for a in arrays))

    def find(self, question: str) -> Hits:
        """Names that a folded question stands for, wholly or in part; a single letter only at their beginning."""
        if not question or not len(self):
            return Hits(np.zeros(0, np.int32), np.zeros(0, np.float32))
        # By letters read and characters matched: where the matches began, and the weights of their characters summed.
        reached: dict[tuple[int, int], list[_Found]] = {}
        single = len(question) == 1 and question.isascii()
        for choice in self._vocabulary.choices(question):
            places = self._standing(choice.ids)
            if single:
                places = places[(places == 0) | (self._characters[places - 1] == self._vocabulary.separator)]
            if places.size:
                weights = np.full(places.size, choice.weight, np.float32)
                reached.setdefault((choice.length, 1), []).append((places, weights))
        for read in range(1, len(question)):
            for matched in range(1, read + 1):
                found = reached.pop((read, matched), None)
                if found is not None:
                    self._go_on(question, read, matched, _merged(found, read), reached)
        return self._hits({m: f for (read, m), f in reached.items() if read == len(question)})

    def _go_on(
        self, question: str, read: int, matched: int, found: _Found, reached: dict[tuple[int, int], list[_Found]]
    ) -> None:
        """Reads one more character of each name in each way the question allows."""
        begun, weight = found
        standing = self._characters[begun + np.int32(matched)]
        wanted = np.zeros(NUMBERS, bool)
        for choice in self._vocabulary.choices(question[read:]):
            wanted[choice.ids] = True
            keep = np.flatnonzero(wanted[standing])
            wanted[choice.ids] = False
            if keep.size:
                step = (begun[keep], weight[keep] + np.float32(choice.weight))
                reached.setdefault((read + choice.length, matched + 1), []).append(step)

    def _standing(self, ids: NDArray[np.uint16]) -> Integers:
        """Where any of these characters stands."""
        known = ids[ids < self._first.size - 1]
        slices = [self._places[self._first[n] : self._first[n + 1]] for n in known.tolist()]
        return np.concatenate(slices) if slices else np.zeros(0, np.int32)

    def _hits(self, found: dict[int, list[_Found]]) -> Hits:
        best = np.zeros(len(self), np.float32)
        for matched, arrays in found.items():
            for begun, weight in arrays:
                names = np.searchsorted(self._starts, begun, side="right") - 1
                length = self._lengths[names]
                leads = begun == self._starts[names]
                place = np.where(leads, np.float32(_BEGINNING), np.float32(_WITHIN))
                place += np.float32(_COVERAGE * matched) / length
                place[leads & (self._stems[names] == matched)] = _STEM
                place[leads & (length == matched)] = _WHOLE
                np.maximum.at(best, names, (place * weight / np.float32(matched)).astype(np.float32))
        matching = np.flatnonzero(best).astype(np.int32)
        return Hits(matching, best[matching])


def _merged(found: list[_Found], read: int) -> _Found:
    """Matches that begin at the same place become the best of them; where few letters are read, few do."""
    if len(found) == 1:
        return found[0]
    begun, weight = np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
    if read <= _FEW_LETTERS:
        return begun, weight
    order = np.argsort(begun)
    begun, weight = begun[order], weight[order]
    first = np.flatnonzero(np.concatenate([np.ones(1, bool), begun[1:] != begun[:-1]]))
    return begun[first], np.maximum.reduceat(weight, first)
