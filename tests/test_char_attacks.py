"""What each attack on characters is known to do, and the blocks that they share."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from robustbench_nlp.attack import Probe, Request, Score, Scores, Steps
from robustbench_nlp.attacks.bad_characters import COST, BadCharacters, threat_of
from robustbench_nlp.attacks.charmer import Charmer
from robustbench_nlp.attacks.leetspeak import leet
from robustbench_nlp.attacks.spacing import joins, splits
from robustbench_nlp.attacks.textbugger import bugs
from robustbench_nlp.defense import compose
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize
from robustbench_nlp.edits.visual import accented, homoglyphs
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.lexicon.confusables import lookalikes
from robustbench_nlp.lexicon.leet import shapes
from robustbench_nlp.lexicon.wordnet import synonyms
from robustbench_nlp.plugins import create
from robustbench_nlp.search.differential import evolve
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import Threat, measure, violations

VICTIM = KeywordVictim()
KEYWORDS = "This is a good movie with a great cast"
KINDS = sorted(COST)
STRINGS = st.text(st.sampled_from("ab oé. gд\u05d0\u200d\ud800🙂"), max_size=30)
WORDS = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzE"), min_size=1, max_size=9)


@dataclass(frozen=True, kw_only=True)
class LongsFor(KeywordVictim):
    """Says class 0 to one text alone, and scores all others by how near they are to it."""

    target: str = "a bad film"

    def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
        near = [Levenshtein.normalized_similarity(str(text), self.target) for text in inputs]
        share = np.array([1.0 if x == 1 else 0.49 * x for x in near], dtype=np.float32)
        return np.stack([share, 1 - share], axis=1)


class Asked(NamedTuple):
    candidates: list[str]
    probes: list[str]


def asked(steps: Steps) -> Asked:
    """All that an attack asks of a victim that nothing moves."""
    heard = Asked([], [])
    answer = None
    while True:
        try:
            request: Request = steps.send(answer)
        except StopIteration:
            return heard
        assert isinstance(request, Score | Probe)
        strings = [str(text) for text in request.texts]
        (heard.candidates if isinstance(request, Score) else heard.probes).extend(strings)
        answer = Scores([0.25] * len(strings), [False] * len(strings))


def asked_by(selector: str, string: str = KEYWORDS) -> Asked:
    attack = create("attack", selector)
    return asked(attack.run(replace(sample_of(attack, string), score=0.25), Random(0)))


def attacked(selector: str, string: str = KEYWORDS, victim: KeywordVictim = VICTIM, seed: int = 0) -> str:
    attack = create("attack", selector)
    return str(drive(attack, sample_of(attack, string), Random(seed), victim).text)


def fooled(string: str, victim: Any = VICTIM) -> bool:
    return bool(victim.predict([string])[0].argmax() == 0)


@pytest.mark.parametrize(
    "selector",
    [
        "textbugger",
        "textbugger(candidates='none')",
        "viper(probability=0.6)",
        "viper(space='homoglyphs', probability=0.6)",
        "charmer",
        "charmer(places=1)",
        *(f"bad-characters:{kind}" for kind in KINDS),
        "spacing",
        "leetspeak",
        "punctuation",
    ],
)
def test_a_victim_that_counts_keywords_is_fooled_inside_the_threat(selector: str) -> None:
    text = attacked(selector)
    assert fooled(text)
    assert not violations(create("attack", selector).threat, KEYWORDS, text)


@pytest.mark.parametrize(
    "selector",
    [
        "textbugger(candidates='all')",
        "viper(space='ices')",
        "viper(probability=2)",
        "viper(draws=0)",
        "charmer(places=0)",
        "charmer(alphabet='')",
        "bad-characters:visible",
        "bad_characters(population=2)",
        "bad_characters(iterations=-1)",
        "spacing(split=False, join=False)",
        "punctuation(marks='')",
        "punctuation(marks='ab')",
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


# --- textbugger


@given(WORDS, st.integers(0, 999))
def test_textbugger_makes_at_most_one_bug_of_each_kind(word: str, seed: int) -> None:
    made = bugs(word, Random(seed))
    spaced = [new for new in made if new.replace(" ", "") == word]
    shorter = [new for new in made if len(new) < len(word)]
    others = [new for new in made if new not in spaced + shorter]
    assert word not in made
    assert len(spaced) == (1 < len(word) < 6)
    assert len(shorter) <= (len(word) > 3)
    assert len(others) <= 2
    assert all(new[0] == word[0] and new[-1] == word[-1] for new in shorter + spaced)


def test_textbugger_offers_bugs_of_every_word_and_synonyms_of_those_that_are_no_stop_words() -> None:
    for selector, words in (("textbugger", synonyms("film")), ("textbugger(candidates='none')", ())):
        candidates = asked_by(selector, "the film").candidates
        films = {text.removeprefix("the ") for text in candidates if text.startswith("the ")}
        thes = {text.removesuffix(" film") for text in candidates if text.endswith(" film")}
        assert set(words) <= films
        assert 3 <= len(films - set(words)) <= 4
        assert 2 <= len(thes) <= 3


def test_textbugger_threat_follows_its_candidates() -> None:
    assert create("attack", "textbugger(candidates='none')").threat == create("attack", "deepwordbug").threat
    assert create("attack", "textbugger(candidates='neighbours(5)')").threat.candidates == "neighbours(5)"


def test_textbugger_begins_with_the_sentence_that_convinces_most() -> None:
    string = "Nothing happens. A good, great film! Go home"
    sample = sample_of(create("attack", "textbugger"), string)
    steps = create("attack", "textbugger").run(replace(sample, score=0.1), Random(0))
    sentences = next(steps)
    assert isinstance(sentences, Probe)
    assert [str(text) for text in sentences.texts] == ["Nothing happens", "A good, great film", "Go home"]
    deletions = steps.send(Scores([0.5, 0.1, 0.5], [False] * 3))
    assert isinstance(deletions, Probe)
    scores = [0.1 if "great" in str(text) else 0.3 for text in deletions.texts]
    first = steps.send(Scores(scores, [False] * len(scores)))
    assert isinstance(first, Score)
    assert all("good" in str(text) and "great" not in words_of(str(text)) for text in first.texts)


# --- viper


@pytest.mark.parametrize("space", ["accents", "homoglyphs"])
def test_viper_replaces_letters_by_visual_neighbours_one_for_one(space: str) -> None:
    near = accented if space == "accents" else homoglyphs
    text = attacked(f"viper(space={space!r}, probability=1.0)")
    assert len(text) == len(KEYWORDS)
    assert all(new in (near(old) or old) for old, new in zip(KEYWORDS, text, strict=True))


def test_viper_replaces_the_share_that_it_is_told() -> None:
    string = "abcdefghij " * 300
    text = attacked("viper(probability=0.4, draws=1)", string)
    reachable = sum(bool(accented(letter)) for letter in string)
    assert 0.36 < measure(string, text).edits_chars / reachable < 0.44
    assert asked_by("viper(probability=0.0)").candidates == []


def test_viper_draws_without_a_search_and_respects_a_tighter_threat() -> None:
    assert len(asked_by("viper(draws=4)").candidates) == 4
    tight = create("attack", "viper(draws=50, probability=0.1)")
    tight = replace(tight, threat=Threat(name="tight", max_edits=2))
    candidates = asked(tight.run(sample_of(tight, KEYWORDS), Random(0))).candidates
    assert 0 < len(candidates) < 50
    assert all(measure(KEYWORDS, text).edits_chars <= 2 for text in candidates)


# --- charmer


@pytest.mark.parametrize("string", ["a bed fim", "a bd film", "abad filmm", "a bad  film"])
def test_charmer_finds_the_shortest_way_to_the_one_text_that_fools(string: str) -> None:
    charmer = Charmer(threat=Threat(name="k", max_edits=2))
    text = drive(charmer, sample_of(charmer, string), Random(0), LongsFor()).text
    assert str(text) == "a bad film"


def test_charmer_keeps_to_its_edits() -> None:
    for edits in (0, 1, 2):
        charmer = Charmer(threat=Threat(name="k", max_edits=edits))
        text = drive(charmer, sample_of(charmer, KEYWORDS), Random(0), VICTIM).text
        assert measure(KEYWORDS, str(text)).edits_chars <= edits if edits else text is None
        assert (text is not None and fooled(str(text))) == (edits == 2)


def test_charmer_asks_for_each_single_edit() -> None:
    charmer = Charmer(threat=Threat(name="k", max_edits=1), places=99, alphabet="ab ")
    candidates = asked(charmer.run(sample_of(charmer, "aa b"), Random(0))).candidates
    edits = {"aa b"[:i] + new + "aa b"[i + drop :] for i in range(5) for drop in (0, 1) for new in ("", *"ab ")}
    assert set(candidates) == edits - {"aa b"}
    assert [text for text in set(candidates) if candidates.count(text) > 1] == ["aa  b"]  # by two places' probes


# --- bad characters


def seen(kind: str, text: str) -> str:
    """What a reader of the text sees."""
    if kind == "homoglyphs":
        return "".join(lookalikes().get(letter, letter) for letter in text)
    shown: list[str] = []
    turned: list[str] | None = None
    for character in text:
        if character == "\b":
            shown.pop()
        elif character == "\u202e":
            turned = []
        elif character == "\u202c":
            shown += reversed(turned or [])
            turned = None
        elif character not in "\u200b\u200c\u200d":
            (shown if turned is None else turned).append(character)
    return "".join(shown)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_characters_look_like_the_original(kind: str) -> None:
    candidates = asked_by(f"bad-characters:{kind}").candidates
    assert len(candidates) == len(set(candidates)) > 100
    assert {seen(kind, text) for text in candidates} == {KEYWORDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(string=STRINGS, seed=st.integers(0, 999))
def test_bad_characters_cost_what_the_threat_pays_for(kind: str, string: str, seed: int) -> None:
    for changes in (1, 5):
        attack = BadCharacters(kind=kind, threat=threat_of(kind, changes), population=6, iterations=3)  # type: ignore[arg-type]
        for text in asked(attack.run(sample_of(attack, string), Random(seed))).candidates:
            assert text != string
            assert not violations(attack.threat, string, text)


def test_bad_characters_take_their_kind_after_a_colon_and_the_threat_follows() -> None:
    for kind in KINDS:
        attack = create("attack", f"bad-characters:{kind}")
        assert (attack.kind, attack.threat) == (kind, threat_of(kind))
    attack = BadCharacters(kind="deletions", threat=Threat(name="one", max_edits=1))
    assert asked(attack.run(sample_of(attack, KEYWORDS), Random(0))).candidates == []


@pytest.mark.parametrize("kind", ["homoglyphs", "invisible"])
def test_unicode_normalize_undoes_homoglyphs_and_invisible_characters(kind: str) -> None:
    text = attacked(f"bad-characters:{kind}")
    defended = compose("unicode_normalize")(VICTIM, [], Random(0))
    assert fooled(text)
    assert not fooled(text, defended)
    assert all(UnicodeNormalize().rewrite(text) == KEYWORDS for text in asked_by(f"bad-characters:{kind}").candidates)


# --- spacing, leetspeak, punctuation


def test_spacing_splits_words_and_joins_them_only_over_a_single_space() -> None:
    text = Text("one, two three  four")
    assert [str(new) for new in splits(text, 0)] == ["o ne, two three  four", "on e, two three  four"]
    assert [[str(new) for new in joins(text, number)] for number in range(4)] == [
        [],
        ["one, twothree  four"],
        ["one, twothree  four"],
        [],
    ]
    assert asked_by("spacing(join=False)", "odd end").candidates == ["o dd end", "od d end", "odd e nd", "odd en d"]
    assert set(asked_by("spacing(split=False)", "odd end").candidates) == {"oddend"}


@pytest.mark.parametrize("selector", ["spacing", "leetspeak", "punctuation"])
def test_the_most_important_word_is_edited_first_and_alone(selector: str) -> None:
    text = attacked(selector, "the good film of a great man", KeywordVictim(keywords=(("x",), ("great",))))
    assert "great" not in words_of(text)
    assert text.startswith("the good film of a")
    heard = asked_by(selector, "the good film")
    assert heard.probes == ["good film", "the film", "the good"]
    assert all(0 < measure("the good film", text).edits_chars <= 10 for text in heard.candidates)


@given(WORDS)
def test_leet_words_read_back(word: str) -> None:
    made = leet(word)
    assert all(len(new) == len(word) and new != word for new in made)
    assert all(b in (a, *shapes(a)) for new in made for a, b in zip(word, new, strict=True))
    assert bool(made) == any(map(shapes, word))


def test_leet_offers_single_letters_and_the_whole_word() -> None:
    assert leet("elite") == ["3lite", "e1ite", "e|ite", "el1te", "el!te", "eli7e", "eli+e", "elit3", "31173"]


def test_punctuation_goes_into_words_and_beside_them() -> None:
    assert asked_by("punctuation(marks='-')", "odd").candidates == ["-odd", "o-dd", "od-d", "odd-"]
    assert asked_by("punctuation(marks='-.', beside=False)", "odd").candidates == ["o-dd", "o.dd", "od-d", "od.d"]


# --- shared blocks


@given(st.characters())
def test_homoglyphs_look_alike_in_turn_and_accents_sit_on_their_base(letter: str) -> None:
    assert letter not in homoglyphs(letter)
    assert all(letter in homoglyphs(other) for other in homoglyphs(letter))
    assert all(unicodedata.normalize("NFD", other)[0] == letter for other in accented(letter))


def test_neighbours_of_known_letters() -> None:
    assert set("аɑ") <= set(homoglyphs("a"))
    assert "a" in homoglyphs("а")
    assert set("àáâãäå") <= set(accented("a"))
    assert "й" in accented("и")
    assert homoglyphs(" ") == accented(" ") == homoglyphs("中") == accented("中") == ""


def climbs(population: int, iterations: int, seed: int) -> tuple[float, int]:
    """The best score of a search for the point (3, -2, 5), and its number of queries; nothing is ever a success."""

    def decode(genome: Sequence[float]) -> Text | None:
        x, y, z = (round(value, 2) for value in genome)
        return Text(f"{1 / (1 + (x - 3) ** 2 + (y + 2) ** 2 + (z - 5) ** 2):.6f} {x} {y} {z}", end=0) if x < 9 else None

    steps = evolve([(-10.0, 10.0)] * 3, decode, Random(seed), population=population, iterations=iterations)
    request, heard = next(steps), []
    while True:
        assert isinstance(request, Score)
        strings = [str(text) for text in request.texts]
        heard += strings
        scores = [float(string.split()[0]) for string in strings]
        try:
            request = steps.send(Scores(scores, [False] * len(strings)))
        except StopIteration:
            assert len(heard) == len(set(heard))
            return max(float(string.split()[0]) for string in heard), len(heard)


def test_differential_evolution_climbs_where_random_search_does_not() -> None:
    for seed in range(5):
        evolved, queries = climbs(16, 40, seed)
        drawn, _ = climbs(queries, 0, seed)
        assert evolved > 0.99 > drawn
        assert queries <= 16 * 41
        assert (evolved, queries) == climbs(16, 40, seed)


def test_differential_evolution_ends_at_a_success_and_survives_nothing_to_ask() -> None:
    steps = evolve([(0.0, 9.0)], lambda genome: Text(f"{genome[0]:.3f}"), Random(0), population=4)
    request = next(steps)
    assert isinstance(request, Score)
    with pytest.raises(StopIteration) as stop:
        steps.send(Scores([0.1, 0.9, 0.8, 0.7], [False, False, True, True]))
    assert stop.value.value == request.texts[2]
    assert asked(evolve([(0.0, 1.0)], lambda genome: None, Random(0))).candidates == []
    with pytest.raises(UsageError):
        next(evolve([(0.0, 1.0)], lambda genome: None, Random(0), population=2))
