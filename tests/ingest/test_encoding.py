# SPDX-License-Identifier: Apache-2.0
"""Encodings told from bytes: what is declared, what lies, what is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocloud.errors import UnreadableFile
from geocloud.ingest.encoding import decide, decode, normalised, rewrite_as_utf8, sample_text

COUNTIES = ["东昌府区", "茌平区", "阳谷县", "莘县", "东阿县", "冠县", "高唐县", "临清市"]
TEXTS = {
    "counties": COUNTIES,
    "one-word": ["名称"],
    "liantong": ["联通"],
    "addresses": ["聊城市东昌府区柳园南路 12 号（门诊楼）", "振兴西路", "WC 公厕"],
    "taiwan": ["臺北市", "新北市", "桃園市", "臺中市", "高雄市"],
    "japan": ["東京都", "大阪府", "みなと", "カタカナ"],
    "latin": ["Köln", "Le château d'eau", "Málaga"],
    "russian": ["Москва", "Санкт-Петербург", "улица Ленина"],
}
CASES = [
    ("counties", "utf-8", "UTF-8"),
    ("counties", "gbk", "GB18030"),
    ("one-word", "gbk", "GB18030"),
    ("one-word", "utf-8", "UTF-8"),
    ("liantong", "gbk", "GB18030"),
    ("addresses", "gb18030", "GB18030"),
    ("addresses", "utf-8", "UTF-8"),
    ("taiwan", "big5", "Big5"),
    ("taiwan", "gbk", "GB18030"),
    ("japan", "shift_jis", "Shift_JIS"),
    ("japan", "utf-8", "UTF-8"),
    ("latin", "latin-1", "CP1252"),
    ("latin", "utf-8", "UTF-8"),
    ("russian", "cp1251", "CP1251"),
    ("russian", "utf-8", "UTF-8"),
]


def _bytes(key: str, codec: str) -> list[bytes]:
    return [t.encode(codec) for t in TEXTS[key]]


@pytest.mark.parametrize(("key", "codec", "expected"), CASES, ids=[f"{k}-{c}" for k, c, _ in CASES])
def test_guessed_from_the_bytes(key: str, codec: str, expected: str) -> None:
    got = decide(_bytes(key, codec))
    assert got.name == expected
    assert [decode(raw, got)[0] for raw in _bytes(key, codec)] == TEXTS[key]
    assert [f.code for f in got.findings] == ["GC-203"]


@pytest.mark.parametrize(("key", "codec", "expected"), CASES, ids=[f"{k}-{c}" for k, c, _ in CASES])
@pytest.mark.parametrize("declared", ["GBK", "UTF-8", "88591"])
def test_a_wrong_declaration_is_found_out(key: str, codec: str, expected: str, declared: str) -> None:
    got = decide(_bytes(key, codec), declared, "x.cpg")
    assert got.name == expected
    truthful = normalised(declared) == expected
    assert [f.code for f in got.findings] == ([] if truthful else ["GC-202"])


def test_a_few_damaged_texts_do_not_overturn_the_declaration() -> None:
    sample = _bytes("counties", "utf-8") * 5 + ["名称".encode()[:-1], b"\xff\xfe"]
    got = decide(sample, "UTF-8", "x.cpg")
    assert (got.name, got.findings) == ("UTF-8", ())
    assert decode("名称".encode()[:-1], got) == ("名", "cut")
    text, problem = decode("名".encode() + b"\xff", got)
    assert (problem, text[0], text[-1]) == ("bad", "名", "\ufffd")


def test_plain_ascii_needs_no_evidence() -> None:
    assert decide([b"abc"]).name == "UTF-8"
    assert decide([b"abc"], "GBK", "x.cpg").name == "GB18030"
    assert decide([b"abc"]).findings == ()


def test_named_encoding_wins_and_is_questioned() -> None:
    got = decide(_bytes("counties", "gbk"), None, named="latin-1")
    assert (got.name, [f.code for f in got.findings]) == ("CP1252", ["GC-210"])
    assert decide(_bytes("counties", "gbk"), "UTF-8", "x.cpg", named="gbk").findings == ()
    with pytest.raises(UnreadableFile) as caught:
        decide([], named="klingon")
    assert caught.value.context["rule"] == "GC-209"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_marks_and_wide_text(tmp_path: Path, codec: str) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "b.txt"
    source.write_text('{"name": "东昌府区"}\n', encoding=codec)
    _, bom = sample_text(source)
    assert bom == {"utf-16": "UTF-16", "utf-16-le": "UTF-16-LE", "utf-16-be": "UTF-16-BE", "utf-32": "UTF-32"}.get(
        codec, "UTF-8"
    )
    rewrite_as_utf8(source, target, codec)
    assert target.read_bytes() == '{"name": "东昌府区"}\n'.encode()


def test_rewriting_makes_the_xml_declaration_agree(tmp_path: Path) -> None:
    source, target = tmp_path / "a.kml", tmp_path / "b.kml"
    source.write_bytes('<?xml version="1.0" encoding="GB2312"?>\r\n<kml>名称</kml>'.encode("gbk"))
    rewrite_as_utf8(source, target, "gb18030")
    assert target.read_bytes() == '<?xml version="1.0" encoding="UTF-8"?>\r\n<kml>名称</kml>'.encode()


def test_rewriting_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    source.write_bytes("名称".encode("utf-16")[:-1])
    with pytest.raises(UnreadableFile) as caught:
        rewrite_as_utf8(source, tmp_path / "b.json", "utf-16")
    assert caught.value.context["rule"] == "GC-105"
