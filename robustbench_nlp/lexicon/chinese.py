"""Chinese: words of a string by jieba, and characters that sound alike (pypinyin) or look alike (Unicode's Unihan).

Only the 6,500 common characters that `glyphs.tsv` lists are offered (see `scripts/build_glyphs.py`), so that no candidate
is a character that readers don't know. The libraries come with the extra `chinese`.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from robustbench_nlp.errors import UsageError

__all__ = ["frequency", "lookalikes", "require", "same_sound", "segments"]


def require(name: str) -> None:
    """Raises `UsageError` in the name of what needs them where the libraries are missing."""
    missing = [library for library in ("jieba", "pypinyin") if find_spec(library) is None]
    if missing:
        raise UsageError(f"{name} needs {' and '.join(missing)}: pip install 'robustbench-nlp[chinese]'")


@cache
def _segmenter() -> Any:
    """Reads the dictionary itself: the library's own way is a cache in the shared temporary folder, where anybody may put one, and
    saves no time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba's source has escapes that newer Pythons warn of
        import jieba

    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
    segmenter.initialized = True
    return segmenter


def segments(string: str) -> list[tuple[int, int]]:
    """The (start, end) of every piece of the string, in code points: Chinese words, runs of other scripts, marks, spaces."""
    return [(start, end) for _, start, end in _segmenter().tokenize(string)]


def frequency(word: str) -> int:
    """How often jieba's corpus has the word; 0 for what is no word."""
    return _segmenter().FREQ.get(word) or 0


@cache
def _glyphs() -> dict[str, str]:
    lines = files("robustbench_nlp.lexicon").joinpath("glyphs.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return dict(rows)


def lookalikes(character: str) -> str:
    """The common characters that look like a common one, the most alike first; '' if there are none."""
    return _glyphs().get(character, "")


@cache
def _sounds() -> dict[str, str]:
    """By sound, with its tone and without: the common characters whose first reading it is, the most frequent first."""
    from pypinyin import Style, pinyin

    table: dict[str, str] = {}
    for character in sorted(_glyphs(), key=lambda character: -frequency(character)):
        sound = pinyin(character, style=Style.TONE3)[0][0]
        for key in {sound, sound.rstrip("12345")}:
            table[key] = table.get(key, "") + character
    return table


def same_sound(word: str, number: int) -> str:
    """The common characters that sound like character `number` of a word as it is read there: those of the same tone
    first, the most frequent ones first among each."""
    from pypinyin import Style, pinyin

    readings = pinyin(word, style=Style.TONE3, errors="ignore")
    if len(readings) != len(word):
        return ""
    sound, table = readings[number][0], _sounds()
    found = table.get(sound, "") + table.get(sound.rstrip("12345"), "")
    return "".join(dict.fromkeys(found)).replace(word[number], "")
