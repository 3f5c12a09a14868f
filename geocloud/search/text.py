# SPDX-License-Identifier: Apache-2.0
"""Names and questions brought to one form, by the same Arrow kernels for one text and for a million."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["fold", "fold_many", "parts_of", "stem_lengths"]

# What says what kind of place a name is for, longest first: 古楼 names 古楼街道 as well as 古楼街道办事处.
_SUFFIXES = (
    "街道办事处", "居民委员会", "村民委员会", "自治区", "自治州", "自治县", "开发区", "居委会", "村委会", "办事处",
    "街道", "社区", "新村", "省", "市", "区", "县", "镇", "乡", "村", "路", "街", "河",
)  # fmt: skip
_SUFFIX = "(?:" + "|".join(_SUFFIXES) + ")$"
# Blanks, punctuation, control characters and marks over letters are no part of a name as it is searched.
_DROPPED = r"[\p{Z}\p{P}\p{C}\p{M}]+"
_BLANK = r"[\p{Z}\p{C}]+"
_BETWEEN_NAMES = r"[;；、,，/|]+"


def fold(text: str) -> str:
    """One text as `fold_many` would have it."""
    return str(fold_many(pa.array([text], pa.string()))[0])


def fold_many(texts: pa.Array) -> pa.Array:
    """Full width as half width, small letters, no accents, blanks or punctuation; only blanks go if nothing stays."""
    plain = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKD"))
    bare = pc.replace_substring_regex(plain, _DROPPED, "")
    kept = pc.replace_substring_regex(plain, _BLANK, "")
    return pc.if_else(pc.equal(pc.binary_length(bare), 0), kept, bare)


def parts_of(texts: pa.Array) -> pa.ListArray:
    """A field that may hold several names, taken apart."""
    return pc.split_pattern_regex(texts, _BETWEEN_NAMES)


def stem_lengths(folded: pa.Array) -> pa.Array:
    """Number of characters of folded names without the suffix that tells their kind; never 0."""
    lengths = pc.utf8_length(pc.replace_substring_regex(folded, _SUFFIX, ""))
    return pc.if_else(pc.equal(lengths, 0), pc.utf8_length(folded), lengths)
