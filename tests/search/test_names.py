# SPDX-License-Identifier: Apache-2.0
"""The packed names: everything is found by itself, its pinyin and its initials, and nothing else is found."""

from __future__ import annotations

import csv
import itertools
import re

import pyarrow as pa
import pypinyin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.search.names import Names
from geocloud.search.text import fold, fold_many, stem_lengths
from geocloud.search.vocabulary import READINGS_MAX, Vocabulary, readings_of

PLACES = [
    "聊城市",
    "东昌府区",
    "古楼街道",
    "莘县",
    "冠县",
    "茌平区",
    "东阿县",
    "重庆路",
    "朝城镇",
    "乐亭县",
    "吕庄",
    "KFC肯德基(万达店)",
    "G20青银高速",
    "行知中学",
    "银行",
    "单县路",
    "ＡＢＣ大厦",
    "中国农业银行",
    "徒骇河",
    "马颊河",
]
# What is typed, by the name it must find.
TYPED = {
    "古楼街道": [
        "古楼",
        "楼街",
        "gulou",
        "gl",
        "gljd",
        "guloujiedao",
        "guloujied",
        "guljd",
        "gu楼",
        "GuLou",
        "gǔlóu",
        "gu'lou",
    ],
    "聊城市": ["liao城", "聊c", "lcs", "liaochengshi", "liaochengs"],
    "东阿县": ["dong'e", "dex", "东e"],
    "莘县": ["shenxian", "xinxian", "sx"],
    "茌平区": ["chiping", "茌ping"],
    "冠县": ["guan", "guanx"],
    "重庆路": ["chongqinglu", "zhongqinglu", "cql"],
    "朝城镇": ["zhaocheng", "chaocheng", "zcz", "zhchzh"],
    "乐亭县": ["laoting", "leting", "yueting"],
    "吕庄": ["lvzhuang", "lyuzhuang", "luzhuang", "lǚzhuang", "lvz", "lvzh"],
    "KFC肯德基(万达店)": ["kfc", "kfckendeji", "肯德基万达", "ｋｆｃ", "kfc肯d", "kdj wd"],
    "G20青银高速": ["g20", "G20qy", "qygs", "20青"],
    "ＡＢＣ大厦": ["abc", "abcds", "ABC大"],
    "单县路": ["shanxian", "danxian"],
    "中国农业银行": ["zgnyyh", "zhgnyyh", "农业银行", "nongyeyinhang"],
}


class Index:
    """Names with what is found of them, as their own texts."""

    def __init__(self, names: list[str]) -> None:
        self.texts = sorted(set(names))
        self._folded = fold_many(pa.array(self.texts, pa.string()))
        self.names = Names(self._folded, Vocabulary())

    def find(self, question: str) -> list[str]:
        hits = self.names.find(fold(question))
        order = sorted(range(len(hits)), key=lambda i: -float(hits.fit[i]))
        return [self.texts[hits.names[i]] for i in order]


def pinyin(name: str) -> list[str]:
    return pypinyin.lazy_pinyin(re.sub(r"[\W_]+", "", name))


@pytest.fixture(scope="module")
def city() -> Index:
    return Index(PLACES)


@pytest.fixture(scope="module")
def villages(shared_data) -> Index:
    with (shared_data / "liaocheng/admin_village_codes.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return Index([r["name"] for r in rows] + [r["town"] for r in rows] + [r["county"] for r in rows])


@pytest.mark.parametrize(("question", "name"), [(q, name) for name, typed in TYPED.items() for q in typed])
def test_ways_of_typing_a_name(city, question, name):
    assert name in city.find(question)


@pytest.mark.parametrize(
    "question",
    [
        "古城楼",
        "gulouu",
        "xgl",
        "lcss",
        "znyyh",
        "𠀀",
        "🙂",
        "a.*",
        ".*",
        "(古楼",
        "古楼)\\d",
        "%",
        "_",
        "[古]",
        "道",
        "",
    ],
)
def test_what_no_name_says_finds_nothing_else(city, question):
    found = city.find(question)
    folded = fold(question)
    assert all(folded and folded in fold(name) for name in found if not folded.isascii())
    if question in ("古城楼", "gulouu", "xgl", "lcss", "znyyh", "𠀀", "🙂", ""):
        assert found == []


def test_the_whole_name_comes_before_its_beginning_before_its_middle():
    index = Index(["北古楼村街", "古楼", "古楼街道", "古楼南大街北"])
    assert index.find("古楼") == ["古楼", "古楼街道", "古楼南大街北", "北古楼村街"]
    assert index.find("gulou")[0] == "古楼"


def test_characters_count_more_than_pinyin_more_than_initials():
    index = Index(["ge路", "格路"])
    assert index.find("ge路") == ["ge路", "格路"]
    fits = [float(index.names.find(fold(q)).fit.max()) for q in ("格路", "gelu", "gl")]
    assert fits == sorted(fits, reverse=True)
    assert len(set(fits)) == 3


def test_the_usual_reading_comes_first():
    index = Index(["重山", "崇山"])
    assert index.find("chongshan") == index.find("cs") == ["崇山", "重山"]


def test_a_single_letter_is_a_beginning():
    assert Index(["古楼", "大古楼"]).find("g") == ["古楼"]


def test_every_name_by_itself_its_pinyin_and_its_initials(city):
    everything(city)


def test_every_real_name_by_itself_its_pinyin_and_its_initials(villages):
    assert len(villages.texts) > 4_000
    everything(villages, step=7)


def everything(index: Index, step: int = 1) -> None:
    for name in index.texts[::step]:
        read = pinyin(name)
        # Latin letters and digits have no initials.
        initials = "".join(part if part in name else part[0] for part in read)
        mixed = name[0] + "".join(read[1:]) if read[0] not in name else name
        for question in (name, "".join(read), initials, mixed):
            assert name in index.find(question), (name, question)


def test_every_reading_of_every_phrase_is_a_reading_of_its_character():
    """What the library reads a name as by its dictionary of words is among what each character can be typed as."""
    phrases = pypinyin.constants.PHRASES_DICT
    lacking = set()
    for phrase in itertools.islice(phrases, 0, None, 5):
        for character, reading in zip(phrase, pypinyin.lazy_pinyin(phrase), strict=False):
            if readings_of(character) and reading not in readings_of(character):
                lacking.add((character, reading))
    # Misread idioms of the dictionary, none of them a place.
    assert lacking <= {("着", "zhu"), ("干", "qian"), ("燵", "ta")}


def test_readings_are_limited_and_none_for_other_scripts():
    assert readings_of("重")[:2] == ["zhong", "chong"]
    assert readings_of("绿") == ["lv", "lyu", "lu"]
    assert all(readings_of(c) == [] for c in "a1é路"[:3])
    assert max(len(readings_of(chr(c))) for c in range(0x4E00, 0x9FA6, 50)) <= READINGS_MAX * 3


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_question_breaks_the_scan(question):
    index = Index(["古楼街道", "阿阿阿阿阿阿阿阿", "a.b*c", question])
    found = index.find(question)
    assert (question in found) == bool(fold(question))


def test_a_question_that_fits_in_very_many_ways_stays_quick():
    index = Index(["阿" * 150, "a" * 150])
    assert len(index.find("a" * 150)) == 2


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ＧＸ２０　路", "gx20路"),
        ("Café", "cafe"),
        (" 古 楼·街(道) ", "古楼街道"),
        ("---", "---"),
        ("\x00\n", ""),
        ("①路", "1路"),
    ],
)  # fmt: skip
def test_folding(text, folded):
    assert fold(text) == folded


def test_the_stem_is_a_name_without_its_kind():
    names = pa.array(["古楼街道", "古楼街道办事处", "聊城市", "市", "光岳楼", "西关居民委员会"])
    assert stem_lengths(names).to_pylist() == [2, 2, 2, 1, 3, 2]
