# SPDX-License-Identifier: Apache-2.0
"""Which encoding (文字编码) the bytes of a delivered file are in, with the evidence.

What a file says about itself (a byte order mark, `.cpg`, the language byte of a DBF, an XML
declaration) is believed only while the bytes agree. Otherwise the bytes decide: every candidate
decodes a sample of the file's texts, and is scored by how ordinary the characters are that come out.
GBK and GB2312 are read as GB18030 (GB 18030-2022), which contains both.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import charset_normalizer

from geocloud.ingest.report import Finding, refuse

__all__ = ["Encoding", "Sample", "decide", "decode", "normalised", "rewrite_as_utf8", "sample_text"]

_GB, _UTF8, _LATIN = "GB18030", "UTF-8", "CP1252"
_CANDIDATES = (_UTF8, _GB, "Big5", "Shift_JIS", "EUC-KR", "CP1251", _LATIN)
_NAMES = {
    "utf8": _UTF8, "utf-8": _UTF8, "65001": _UTF8, "cp65001": _UTF8, "utf-8-sig": _UTF8,
    "gbk": _GB, "gb2312": _GB, "cp936": _GB, "936": _GB, "gb18030": _GB, "ms936": _GB, "54936": _GB,
    "ansi 936": _GB, "ansi_936": _GB, "euc-cn": _GB, "windows-936": _GB, "windowssimpchinese": _GB,
    "big5": "Big5", "cp950": "Big5", "950": "Big5", "ansi 950": "Big5", "windowstradchinese": "Big5",
    "shift_jis": "Shift_JIS", "cp932": "Shift_JIS", "932": "Shift_JIS", "sjis": "Shift_JIS",
    "ansi 932": "Shift_JIS", "windowsjapanese": "Shift_JIS", "cp949": "EUC-KR", "949": "EUC-KR", "euc-kr": "EUC-KR",
    "iso-8859-1": _LATIN, "iso8859-1": _LATIN, "iso88591": _LATIN, "88591": _LATIN, "latin1": _LATIN,
    "latin-1": _LATIN, "1252": _LATIN, "cp1252": _LATIN, "windows-1252": _LATIN, "ansi 1252": _LATIN,
    "windowslatin1": _LATIN, "1251": "CP1251", "cp1251": "CP1251", "windows-1251": "CP1251",
}  # fmt: skip
# Python codecs that read what the name means in practice: vendors' supersets.
_CODECS = {"Big5": "cp950", "Shift_JIS": "cp932", "EUC-KR": "cp949"}
# A declared encoding is given up only when another is better by this much.
_CLEARLY = 0.2
_SAMPLE_TEXTS = 2_000
_SAMPLE_BYTES = 64 * 1024 * 1024
_PIECE = 65_536
# Bytes that end no multi-byte character in the encodings at hand.
_MARK = re.compile(rb"[\",; ]")
_BOMS = (
    (codecs.BOM_UTF8, _UTF8),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

Sample = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Encoding:
    """The decision: a name, the reason in both languages, and the findings it gives rise to.

    `scores` are the candidates with their share of ordinary characters, best first; empty when the
    sample was plain ASCII or nothing had to be compared.
    """

    name: str
    evidence_en: str
    evidence_zh: str
    scores: tuple[tuple[str, float], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def codec(self) -> str:
        """The Python codec to decode with."""
        return _CODECS.get(self.name, self.name)


def normalised(name: str) -> str | None:
    """The house's name of an encoding (`UTF-8`, `GB18030`, …) from any of its spellings; None when unknown."""
    key = name.strip().strip("\x00").casefold().replace("_", "-")
    known = _NAMES.get(key) or _NAMES.get(key.replace("-", "_")) or _NAMES.get(key.replace(" ", ""))
    if known is not None:
        return known
    try:
        return codecs.lookup(key).name.upper()
    except (LookupError, ValueError):
        return None


def decide(sample: Sample, declared: str | None = None, declared_by: str = "", named: str | None = None) -> Encoding:
    """The encoding of a sample of texts (cells, names, lines) without their separators.

    `declared` is what the file says, by way of `declared_by` (`县界.cpg`, `DBF language byte`); `named` is
    what the person says and wins. Raises UnreadableFile (GC-209) when `named` is no encoding.
    """
    if named is not None:
        return _named(sample, named)
    texts = [t for t in sample if any(b > 0x7F for b in t)]
    known = normalised(declared) if declared else None
    if not texts:
        name = known or _UTF8
        return Encoding(name, "all text is plain ASCII", "文字全部为 ASCII 字符", findings=())
    scores = _ranked(texts)
    best, best_score = scores[0]
    score_of = dict(scores)
    if known is not None and known not in score_of:
        score_of[known] = _score(known, texts)
    if known is not None and score_of[known] >= best_score - _CLEARLY:
        share = score_of[known]
        return Encoding(
            known,
            f"declared by {declared_by}, and {share:.0%} of the characters are ordinary in it",
            f"{declared_by} 声明，且 {share:.0%} 的字符在其中为常用字",
            scores,
        )
    evidence_en, evidence_zh = _evidence(best, best_score, scores[1:])
    if known is not None:
        finding = Finding.of("GC-202", where=declared_by, declared=str(declared).strip(), encoding=best)
    else:
        others = ", ".join(f"{n} {s:.0%}" for n, s in scores[1:3]) or "-"
        finding = Finding.of("GC-203", encoding=best, others=others)
    return Encoding(best, evidence_en, evidence_zh, scores, (finding,))


def decode(raw: bytes, encoding: Encoding) -> tuple[str, str | None]:
    """A text, and what was wrong with it: None, `cut` (ends within a character) or `bad` (illegal bytes).

    A cut character is dropped, illegal bytes become U+FFFD.
    """
    try:
        return raw.decode(encoding.codec), None
    except UnicodeDecodeError:
        pass
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    try:
        return decoder.decode(raw, final=False), "cut"
    except UnicodeDecodeError:
        return raw.decode(encoding.codec, errors="replace"), "bad"


def sample_text(path: Path) -> tuple[list[bytes], str | None]:
    """Lines with other than ASCII bytes from a text file, and the encoding its byte order mark names.

    Reads until it has some thousands of such lines or 64 MB, line by line in pieces of at most 64 kB.
    """
    lines: list[bytes] = []
    with path.open("rb") as stream:
        head = stream.read(4)
        bom = next((name for mark, name in _BOMS if head.startswith(mark)), None)
        if bom in ("UTF-16", "UTF-32"):
            return [], bom
        if bom is None and len(head) == 4 and head.count(0) == 2 and head[0] != head[1]:
            # Text without a mark whose every second byte is zero.
            return [], "UTF-16-BE" if head[0] == 0 else "UTF-16-LE"
        stream.seek(0)
        begun = False
        while stream.tell() < _SAMPLE_BYTES and len(lines) < _SAMPLE_TEXTS:
            line = stream.readline(_PIECE)
            if not line:
                break
            ended = line.endswith(b"\n")
            clean = _between_marks(line, begun, not ended and len(line) == _PIECE)
            if any(b > 0x7F for b in clean):
                lines.append(clean)
            begun = not ended
    return lines, bom


def rewrite_as_utf8(source: Path, target: Path, codec: str, errors: str = "strict") -> None:
    """Copy a text file to UTF-8 without a mark, in pieces; an XML declaration is made to agree.

    Raises UnreadableFile (GC-105) when the file ends within a character or holds bytes that are not of `codec`,
    unless `errors` is `replace`.
    """
    try:
        with (
            source.open(encoding=codec, errors=errors, newline="") as text,
            target.open("w", encoding="utf-8", newline="") as out,
        ):
            first = True
            while piece := text.read(1 << 20):
                if first:
                    piece = re.sub(
                        r"(<\?xml[^>]*encoding=[\"'])[^\"']+", r"\1UTF-8", piece.removeprefix("\ufeff"), count=1
                    )
                    first = False
                out.write(piece)
    except UnicodeError as exc:
        raise refuse(Finding.of("GC-105", path=source.name, reason=str(exc))) from exc


def _between_marks(line: bytes, begun: bool, goes_on: bool) -> bytes:
    """A piece of a line without its ending; where a line was cut, only up to a mark that is no part of a character."""
    clean = line.rstrip(b"\r\n").removeprefix(codecs.BOM_UTF8)
    if begun:
        first = _MARK.search(clean)
        clean = clean[first.end() :] if first else b""
    if goes_on:
        last = max((clean.rfind(m) for m in (b'"', b",", b" ")), default=-1)
        clean = clean[: last + 1]
    return clean


def _named(sample: Sample, named: str) -> Encoding:
    known = normalised(named)
    if known is None:
        raise refuse(Finding.of("GC-209", encoding=named, reason="unknown name"))
    texts = [t for t in sample if any(b > 0x7F for b in t)]
    findings: tuple[Finding, ...] = ()
    if texts and _score(known, texts) + _CLEARLY < _ranked(texts)[0][1]:
        best = _ranked(texts)[0][0]
        findings = (Finding.of("GC-210", encoding=known, better=best),)
    return Encoding(known, "named with --encoding", "由 --encoding 指定", findings=findings)


def _ranked(texts: Sample) -> tuple[tuple[str, float], ...]:
    scores = {name: _score(name, texts) for name in _CANDIDATES}
    if max(scores.values()) < 0.5:
        guess = charset_normalizer.from_bytes(b"\n".join(texts[:500])).best()
        name = normalised(guess.encoding) if guess is not None else None
        if name is not None and name not in scores:
            scores[name] = 0.5
    # In a tie the order of the candidates holds: UTF-8 cannot look right by chance, GB18030 is at home here.
    return tuple(sorted(((n, round(s, 3)) for n, s in scores.items() if s > 0), key=lambda i: -i[1])) or (
        (_LATIN, 0.0),
    )


def _score(name: str, texts: Iterable[bytes]) -> float:
    """Share of the non-ASCII characters that are ordinary in the language the encoding is made for."""
    ordinary = total = 0.0
    codec = _CODECS.get(name, name)
    weigh = _WEIGHTS.get(name, _weigh_any)
    for raw in texts:
        decoder = codecs.getincrementaldecoder(codec)()
        try:
            text = decoder.decode(raw, final=False)
        except UnicodeDecodeError:
            total += sum(b > 0x7F for b in raw) / 2
            continue
        good, count = weigh(text, raw)
        ordinary += good
        total += count
    return ordinary / total if total else 0.0


def _weigh_any(text: str, raw: bytes) -> tuple[float, float]:
    del raw
    high = [c for c in text if c > "\x7f"]
    return sum(0.5 for c in high if c.isprintable()), float(len(high))


def _weigh_utf8(text: str, raw: bytes) -> tuple[float, float]:
    """Legal characters count, two-byte ones only as letters: GBK pairs can look like the others by chance."""
    del raw
    high = [c for c in text if c > "\x7f"]
    good = sum(1.0 if c >= "\u0800" else 0.95 if c.isalpha() and c < "\u0530" else 0.5 for c in high)
    return good, float(len(high))


def _weigh_gb(text: str, raw: bytes) -> tuple[float, float]:
    """GB 2312's first half (common characters) counts fully, its second half less, GBK's rest not at all.

    A lone character within an ASCII word is an accented Latin letter read wrongly.
    """
    del raw
    good = count = 0.0
    for i, c in enumerate(text):
        if c <= "\x7f":
            continue
        count += 1
        pair = c.encode("gb18030")
        if len(pair) != 2 or pair[1] < 0xA1:
            continue
        if 0xB0 <= pair[0] <= 0xD7:
            around = text[max(i - 1, 0) : i] + text[i + 1 : i + 2]
            good += 0.4 if len(around) == 2 and around.isascii() and around.isalpha() else 1.0
        elif pair[0] in (0xA1, 0xA2, 0xA3):
            good += 0.9
        elif 0xD8 <= pair[0] <= 0xF7:
            good += 0.6
    return good, count


def _weigh_double(text: str, codec: str, common: tuple[int, int], marks: tuple[int, ...]) -> tuple[float, float]:
    good = count = 0.0
    for c in text:
        if c <= "\x7f":
            continue
        count += 1
        pair = c.encode(codec, errors="replace")
        if len(pair) == 2 and (common[0] <= pair[0] <= common[1]):
            good += 0.95
        elif len(pair) == 2 and pair[0] in marks:
            good += 0.6
        elif len(pair) == 2:
            good += 0.25
    return good, count


def _weigh_big5(text: str, raw: bytes) -> tuple[float, float]:
    del raw
    return _weigh_double(text, "cp950", (0xA4, 0xC6), (0xA1,))


def _weigh_sjis(text: str, raw: bytes) -> tuple[float, float]:
    """Japanese is told by its kana; ideographs alone prove little, half-width kana nearly nothing."""
    del raw
    high = [c for c in text if c > "\x7f"]
    good = 0.0
    for c in high:
        if "\u3040" <= c <= "\u30ff":
            good += 1.0
        elif "\uff61" <= c <= "\uff9f":
            good += 0.05
        elif len(pair := c.encode("cp932", errors="replace")) == 2 and 0x88 <= pair[0] <= 0x97:
            good += 0.8
    return good, float(len(high))


def _weigh_korean(text: str, raw: bytes) -> tuple[float, float]:
    del raw
    high = [c for c in text if c > "\x7f"]
    good = 0.0
    for c in high:
        pair = c.encode("cp949", errors="replace")
        if len(pair) == 2 and 0xB0 <= pair[0] <= 0xC8 and pair[1] >= 0xA1:
            good += 0.9
    return good, float(len(high))


def _weigh_single(text: str, raw: bytes, letters: re.Pattern[str], alone: bool) -> tuple[float, float]:
    """Letters count when they stand in a word; Latin accents stand alone between ASCII letters."""
    good = 0.0
    high = 0
    for i, c in enumerate(text):
        if c <= "\x7f":
            continue
        high += 1
        before, after = text[i - 1 : i], text[i + 1 : i + 2]
        crowded = (before > "\x7f") + (after > "\x7f")
        if not letters.match(c):
            good += 0.3 if c in "°²³×·–—’“”«»" and crowded == 0 else 0.0
        elif not alone:
            good += 0.85 if crowded and (before.islower() or not c.isupper()) else 0.3
        elif crowded == 0:
            good += 0.95
        elif crowded == 1:
            good += 0.3
    # Bytes in pairs throughout are a double-byte text.
    del raw
    return good, float(high)


def _weigh_latin(text: str, raw: bytes) -> tuple[float, float]:
    return _weigh_single(text, raw, _LATIN_LETTERS, alone=True)


def _weigh_cyrillic(text: str, raw: bytes) -> tuple[float, float]:
    return _weigh_single(text, raw, _CYRILLIC_LETTERS, alone=False)


_LATIN_LETTERS = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ffŠšŽžŒœŸ]")
_CYRILLIC_LETTERS = re.compile("[\u0410-\u044f\u0401\u0451]")
_WEIGHTS = {
    _UTF8: _weigh_utf8,
    _GB: _weigh_gb,
    "Big5": _weigh_big5,
    "Shift_JIS": _weigh_sjis,
    "EUC-KR": _weigh_korean,
    "CP1251": _weigh_cyrillic,
    _LATIN: _weigh_latin,
}


def _evidence(best: str, share: float, others: Sequence[tuple[str, float]]) -> tuple[str, str]:
    second = f", {others[0][0]} {others[0][1]:.0%}" if others else ""
    if best == _UTF8:
        return (
            f"the bytes are legal UTF-8 with multi-byte characters{second}",
            f"字节为合法的 UTF-8 多字节序列{second}",
        )
    return (
        f"{share:.0%} of the characters are ordinary in {best}{second}",
        f"按 {best} 解码，{share:.0%} 为常用字符{second}",
    )
