"""Chinese: each kind of candidates on a victim that counts characters, in pure and in mixed text; the tables behind them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp import fakes
from robustbench_nlp.attacks.chinese import Chinese, chinese_words
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.lexicon import chinese
from robustbench_nlp.lexicon.chinese import frequency, lookalikes, same_sound
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text
from robustbench_nlp.threat import violations

VICTIM = KeywordVictim(keywords=(("坏", "烂"), ("彩", "喜")))
ADMIRER = KeywordVictim(keywords=(("坏", "烂"), ("喜",)))
PLAIN = "这部电影的故事非常精彩，演员也很喜欢自己的角色。"
MIXED = "This film, 我非常喜欢T恤, is 精彩 and well-made。"


def attacked(attack: Chinese, string: str, victim: KeywordVictim = VICTIM) -> str:
    text = drive(attack, sample_of(attack, string), Random(0), victim).text
    assert text is not None
    assert victim.predict([str(text)])[0].argmax() == 0
    assert not violations(attack.threat, string, str(text))
    return str(text)


@pytest.mark.parametrize("string", [PLAIN, MIXED])
@pytest.mark.parametrize("kind", ["homophone", "glyph"])
def test_misspellings_change_the_keywords_by_sound_or_shape(kind: str, string: str) -> None:
    after = attacked(Chinese(candidates=(kind,)), string)
    changed = {(old, new) for old, new in zip(string, after, strict=True) if old != new}
    assert len(changed) == 2
    assert {old for old, _ in changed} <= set("彩喜")
    for old, new in changed:
        others = same_sound(old, 0) if kind == "homophone" else lookalikes(old)
        assert new in others


@pytest.mark.parametrize("string", [PLAIN, MIXED])
def test_synonyms_from_vectors_may_be_longer_or_shorter(string: str, tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text("喜欢 1 0 0\nlove 1 0.1 0\n爱 0.9 0.1 0\n精彩 0 1 0\n好看极了 0 0.9 0.1\nfine 0 0.9 0.2\n", "utf-8")
    attack = Chinese(candidates=("synonym",), vectors=str(file))
    assert attacked(attack, string, ADMIRER) == string.replace("喜欢", "爱")
    if string == PLAIN:
        gourmet = KeywordVictim(keywords=(("坏",), ("彩",)))
        assert attacked(attack, string, gourmet) == string.replace("精彩", "好看极了")


@pytest.mark.parametrize("string", [PLAIN, MIXED])
def test_synonyms_from_a_masked_language_model_are_words(string: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fakes, "FILLS", ("爱", "烂", "好", "人", "奇", "妙", "film"))
    after = attacked(Chinese(candidates=("synonym",), model="hf:some-model"), string, ADMIRER)
    start = string.index("喜欢")
    word = after[start : start + 2]
    assert after == string.replace("喜欢", word)
    assert frequency(word) > 0
    assert set(word) <= {"欢", *fakes.FILLS}


def test_words_are_jieba_s_and_only_chinese_ones() -> None:
    def words(string: str) -> list[str]:
        text = Text(string)
        return ["".join(text.word(n) for n in slots) for slots in chinese_words(text)]

    assert words(PLAIN)[1:6] == ["电影", "的", "故事", "非常", "精彩"]
    assert words(MIXED) == ["我", "非常", "喜欢", "恤", "精彩"]
    assert words("\ud800葛\U000e0100城。ひらがな") == ["葛\U000e0100", "城"]


def test_stop_words_stay() -> None:
    attack = Chinese(candidates=("homophone",))
    victim = KeywordVictim(keywords=(("坏",), ("非", "常", "的", "很")))
    text = str(drive(attack, sample_of(attack, PLAIN), Random(0), victim).text)
    assert text != PLAIN
    assert all(word in text for word in ("非常", "的", "很"))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["我", "喜欢", "精彩", "a", " ", "。", "葛\U000e0100", "ひ", "\ud800", "恤"]), max_size=9)
)
def test_every_chinese_character_is_in_one_word(pieces: list[str]) -> None:
    text = Text("".join(pieces))
    slots = [number for word in chinese_words(text) for number in word]
    assert slots == [n for n in range(len(text)) if "一" <= text.word(n)[0] <= "鿿"]


def test_sound_and_shape_by_known_pairs() -> None:
    assert same_sound("银行", 1)[0] in "杭航"  # háng here, xíng in 行走
    assert same_sound("行走", 0)[0] in "型刑邢形"
    assert set("末") <= set(lookalikes("未"))
    assert set("已巳") <= set(lookalikes("己"))
    assert "晴" in lookalikes("睛")
    assert lookalikes("a") == same_sound("a", 0) == same_sound("葛\U000e0100", 0) == ""


@pytest.mark.parametrize(
    "selector",
    [
        "chinese(candidates=('sound',))",
        "chinese(candidates=())",
        "chinese(candidates=('synonym',))",
        "chinese(model='hf:x')",
        "chinese(k=0)",
        "chinese(candidates=3)",
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


def test_the_threat_follows_the_candidates() -> None:
    assert create("attack", "chinese").threat.candidates == "homophone+glyph"
    assert create("attack", "chinese(candidates='glyph')").threat.candidates == "glyph"


def test_a_missing_library_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chinese, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"attack chinese needs jieba and pypinyin: pip install 'robustbench-nlp\[chinese\]'"
    ):
        create("attack", "chinese")
