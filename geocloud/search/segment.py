# SPDX-License-Identifier: Apache-2.0
"""Rows with their names as arrays, and what a layer's index is made of them: a large part and a small recent one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from geocloud.search.names import Floats, Hits, Integers, Names
from geocloud.search.plan import NamePlan
from geocloud.search.rows import Change, Moment
from geocloud.search.text import fold_many, parts_of
from geocloud.search.vocabulary import Vocabulary

__all__ = ["LayerIndex", "Matches", "Segment"]

# Recent rows above this share of all, or this number, call for a new large part.
_RECENT_SHARE, _RECENT_LEAST = 0.1, 5_000


@dataclass(frozen=True, slots=True)
class Matches:
    """Rows that match, each once: fid, how well by its best name (0 to 1), its box (west, south, east, north), and
    for lines a number that rows of one name share."""

    fids: NDArray[np.int64]
    fit: Floats
    boxes: Floats
    names: NDArray[np.int64]

    @staticmethod
    def joined(found: Sequence[Matches]) -> Matches:
        """Matches of several segments as one."""
        if len(found) == 1:
            return found[0]
        return Matches(
            np.concatenate([m.fids for m in found]),
            np.concatenate([m.fit for m in found]),
            np.concatenate([m.boxes for m in found]),
            np.concatenate([m.names for m in found]),
        )


class Segment:
    """Rows as they were read, not to be changed."""

    def __init__(self, rows: pa.Table, plan: NamePlan, vocabulary: Vocabulary) -> None:
        self.table_rows = rows.num_rows
        self._weights = np.array(plan.weights, np.float32)
        self._fids = rows["fid"].to_numpy()
        self._box = tuple(rows[name].to_numpy() for name in ("x0", "y0", "x1", "y1")[: 2 if plan.points else 4])
        folded, row, name_field = _entries(rows, len(plan.names))
        encoded = folded.dictionary_encode()
        self._names = Names(encoded.dictionary, vocabulary)
        # Of lines, what a name is known by in every segment; of other rows nobody asks.
        known_by = [hash(text) for text in encoded.dictionary.to_pylist()] if plan.lines else []
        self._known_by = np.array(known_by, np.int64)
        number = encoded.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(number, kind="stable")
        self._row, self._field = row[order], name_field[order]
        self._first = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=len(self._names)))]).astype(np.int32)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        arrays = (self._fids, *self._box, self._row, self._field, self._first)
        return self._names.nbytes + int(sum(a.nbytes for a in arrays))

    @property
    def distinct(self) -> int:
        """Number of distinct folded names."""
        return len(self._names)

    def where(self, fids: Sequence[int]) -> Integers:
        """Places of the rows with these fids."""
        return np.flatnonzero(np.isin(self._fids, np.asarray(fids, np.int64))).astype(np.int32)

    def find(self, words: Sequence[str], gone: NDArray[np.bool_] | None, most: int | None) -> Matches:
        """Rows whose names hold all of the folded words.

        `gone` marks rows that are left out; `most` is how many rows are wanted at most, of each name and of the
        names that match best, None for all.
        """
        hits = self._hits(words)
        if most is not None and gone is None and len(hits) > most:
            best = np.sort(np.argpartition(-hits.fit, most)[:most])
            hits = Hits(hits.names[best], hits.fit[best])
        begin, count = self._first[hits.names], self._first[hits.names + 1] - self._first[hits.names]
        if most is not None and gone is None:
            count = np.minimum(count, most)
        entry = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        row, field = self._row[entry], self._field[entry]
        fit = np.repeat(hits.fit, count) * self._weights[field]
        names = self._known_by[hits.names] if self._known_by.size else hits.names.astype(np.int64)
        number = np.repeat(names, count)
        if field.any():
            # Some rows may have matched by several of their names.
            order = np.lexsort((-fit, row))
            row, fit, number = row[order], fit[order], number[order]
            once = np.concatenate([np.ones(min(1, row.size), bool), row[1:] != row[:-1]])
            row, fit, number = row[once], fit[once], number[once]
        if gone is not None:
            there = ~gone[row]
            row, fit, number = row[there], fit[there], number[there]
        return Matches(self._fids[row], fit, self._boxes(row), number)

    def _hits(self, words: Sequence[str]) -> Hits:
        found = [self._names.find(word) for word in words]
        if len(found) == 1:
            return found[0]
        total = np.zeros(len(self._names), np.float32)
        seen = np.zeros(len(self._names), np.uint8)
        for hits in found:
            total[hits.names] += hits.fit
            seen[hits.names] += 1
        names = np.flatnonzero(seen == len(found)).astype(np.int32)
        return Hits(names, total[names] / np.float32(len(found)))

    def _boxes(self, row: Integers) -> Floats:
        return np.column_stack([side[row] for side in (*self._box, *self._box)[:4]]).reshape(-1, 4)


@dataclass(frozen=True, slots=True)
class LayerIndex:
    """What is known of a layer's names at a moment: a large part, rows of it that are no longer right, recent rows."""

    plan: NamePlan
    moment: Moment
    main: Segment
    gone: NDArray[np.bool_] | None = None
    recent_rows: pa.Table | None = None
    recent: Segment | None = None

    @classmethod
    def build(cls, rows: pa.Table, plan: NamePlan, moment: Moment, vocabulary: Vocabulary) -> LayerIndex:
        """The index of rows that `rows.read_all` gave."""
        return cls(plan, moment, Segment(rows, plan, vocabulary))

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        recent = (self.recent.nbytes if self.recent else 0) + (self.recent_rows.nbytes if self.recent_rows else 0)
        return self.main.nbytes + (self.gone.nbytes if self.gone is not None else 0) + recent

    @property
    def changes_max(self) -> int:
        """Changed rows up to which following the change is worth more than reading all again."""
        return max(_RECENT_LEAST, int(self.main.table_rows * _RECENT_SHARE))

    def changed(self, change: Change, vocabulary: Vocabulary) -> LayerIndex | None:
        """The index after a change; None when so much has changed that all should be read again."""
        if not change.fids:
            return replace(self, moment=change.moment)
        rows = change.rows
        if self.recent_rows is not None:
            kept = pc.invert(pc.is_in(self.recent_rows["fid"], pa.array(change.fids, pa.int64())))
            rows = pa.concat_tables([self.recent_rows.filter(kept), rows]).unify_dictionaries().combine_chunks()
        if rows.num_rows > self.changes_max:
            return None
        gone = np.zeros(self.main.table_rows, bool) if self.gone is None else self.gone.copy()
        gone[self.main.where(change.fids)] = True
        recent = Segment(rows, self.plan, vocabulary) if rows.num_rows else None
        return LayerIndex(
            self.plan, change.moment, self.main, gone if gone.any() else None, rows if rows.num_rows else None, recent
        )

    def find(self, words: Sequence[str], most: int | None) -> Matches:
        """Rows whose names hold all of the folded words; `most` as in `Segment.find`."""
        found = [self.main.find(words, self.gone, most)]
        if self.recent is not None:
            found.append(self.recent.find(words, None, most))
        return Matches.joined(found)


def _entries(rows: pa.Table, fields: int) -> tuple[pa.Array, Integers, NDArray[np.uint8]]:
    """Every name of every row: folded, the place of its row, the number of its field."""
    texts, places, numbers = [], [], []
    for n in range(fields):
        column = rows[f"n{n}"].combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) and column.num_chunks == 1 else column
        if isinstance(column, pa.ChunkedArray):
            continue
        row = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)).astype(np.int32)
        index = column.indices.drop_null().to_numpy(zero_copy_only=False)
        if n == 0:
            folded, of_word = fold_many(column.dictionary), np.arange(len(column.dictionary))
        else:
            parts = parts_of(column.dictionary)
            folded, of_word = fold_many(parts.flatten()), pc.list_parent_indices(parts).to_numpy()
        count = np.bincount(of_word, minlength=len(column.dictionary))[index]
        first = np.searchsorted(of_word, index)
        entry = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        texts.append(folded.take(pa.array(entry)))
        places.append(np.repeat(row, count))
        numbers.append(np.full(entry.size, n, np.uint8))
    text = pa.concat_arrays([t.cast(pa.string()) for t in texts]) if texts else pa.array([], pa.string())
    place = np.concatenate(places) if places else np.zeros(0, np.int32)
    number = np.concatenate(numbers) if numbers else np.zeros(0, np.uint8)
    named = pc.greater(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
    return text.filter(pa.array(named)), place[named], number[named]
