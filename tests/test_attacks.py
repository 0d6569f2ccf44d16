"""The contract that every native attack keeps, found by discovery, and what each attack is known to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import ODD
from touched import material, touched

from robustbench_nlp.attack import Attack, FillMask, Gradient, Help, Probe, Request, Score, Scores, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.characters import internal_edits
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, graded, helped, sample_of
from robustbench_nlp.lexicon.wordnet import synonyms
from robustbench_nlp.plugins import choices, create, factory, plugin_names
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import other_limits, violations

VICTIM = KeywordVictim()
KEYWORDS = "This is a good movie with a great cast"


def native_attacks() -> Iterator[Attack]:
    """Every attack that is made without arguments, or of a model's name, and drives no other library, in each of its
    variants."""
    for name in plugin_names("attack"):
        make = factory("attack", name)
        if getattr(make, "one_at_a_time", False):
            continue
        try:
            attack = make()
        except TypeError:
            continue
        except UsageError:  # it wants a helper model by name; `helped` answers for any
            attack = make(model="any")
        if not isinstance(attack, Attack):
            continue
        yield attack
        if hasattr(attack, "variant"):
            yield replace(attack, variant="textattack")  # type: ignore[type-var]


ATTACKS = [
    pytest.param(attack, id=f"{type(attack).__name__}-{getattr(attack, 'variant', '')}") for attack in native_attacks()
]
every_attack = pytest.mark.parametrize("attack", ATTACKS)
PIECES = st.sampled_from(
    ["good", "great", "the", "it's", "well-made", "movie", " ", "  ", ".", "\n", "🙂", "\ud83d", "عالم", "\x00"]
)
STRINGS = st.lists(PIECES, max_size=8).map("".join) | st.text(st.characters(exclude_categories=()), max_size=12)


class EdgeVictim(KeywordVictim):
    """Scores by a hash-like sum of code points: no ties, no keywords, both classes common."""

    def predict(self, inputs: Any, draw: int = 0) -> Any:
        share = np.array([sum(map(ord, text)) * 0.618 % 1.0 for text in inputs], dtype=np.float32)
        return np.stack([share, 1 - share], axis=1)


def test_discovery_finds_the_native_attacks() -> None:
    assert {"deepwordbug", "pruthi", "pwws", "random_typos"} <= set(plugin_names("attack"))
    assert len(ATTACKS) >= 7


@every_attack
def test_settings_are_identity(attack: Attack) -> None:
    assert is_dataclass(attack)
    assert attack == replace(attack)  # type: ignore[type-var]
    assert hash(attack) == hash(replace(attack))  # type: ignore[type-var]
    assert str(attack.threat).partition("@")[2].isdigit()
    assert isinstance(type(attack).version, int)  # type: ignore[attr-defined]


@every_attack
@pytest.mark.parametrize("string", ODD)
def test_odd_texts(attack: Attack, string: str) -> None:
    for victim in (VICTIM, EdgeVictim()):
        sample = sample_of(attack, string)
        text, queries = drive(attack, sample, Random(0), victim, max_queries=3000)
        again = drive(attack, sample, Random(0), victim, max_queries=3000)
        assert (text, queries) == again
        assert text is None or not violations(attack.threat, string, str(text))


@every_attack
@settings(max_examples=15, deadline=None)
@given(STRINGS, st.integers(0, 2**32))
def test_any_text_same_seed_same_text_inside_the_threat(attack: Attack, string: str, seed: int) -> None:
    sample = sample_of(attack, string)
    driven = drive(attack, sample, Random(seed), EdgeVictim(), max_queries=500)
    assert driven == drive(attack, sample, Random(seed), EdgeVictim(), max_queries=500)
    assert driven.text is None or not violations(attack.threat, string, str(driven.text))


def _answered(steps: Steps, answer: Any) -> Request | None:
    try:
        return steps.send(answer)
    except StopIteration:
        return None


@every_attack
@pytest.mark.parametrize("limits", [{}, {"max_words_share": 0.2}, {"max_edits": 3}, {"max_edits_per_word": 2}], ids=str)
def test_every_candidate_is_inside_the_threat(attack: Attack, limits: dict[str, Any]) -> None:
    string = "It's a well-made, fine film with good actors and a great score"
    if limits:
        if "threat" not in [field.name for field in fields(attack)]:  # type: ignore[arg-type]
            return  # the threat follows the settings
        attack = replace(attack, threat=other_limits(attack.threat, limits))  # type: ignore[type-var]
    sample = sample_of(attack, string)
    steps = attack.run(sample, Random(1))
    request = next(steps, None)
    while request is not None:
        if isinstance(request, Help):
            assert (type(request), request.model) in attack.helpers  # type: ignore[attr-defined]
            request = _answered(steps, helped(request))
            continue
        if isinstance(request, Gradient):
            request = _answered(steps, [graded(text, sample, VICTIM) for text in request.texts])
            continue
        assert isinstance(request, Score | Probe)
        assert request.texts
        if isinstance(request, Score):
            assert all(not violations(attack.threat, string, str(text)) for text in request.texts)
            assert all(str(text) != string for text in request.texts)
        request = _answered(steps, Scores([0.1] * len(request.texts), [False] * len(request.texts)))


@pytest.mark.parametrize(
    "attack",
    [
        *ATTACKS,
        *(create("attack", f"noise:{kind.argument}") for kind in choices("attack", "noise")),
        *(create("attack", f"deepwordbug(edit={edit!r})") for edit in ("swap", "delete", "insert")),
        *(create("attack", f"bad_characters:{kind}") for kind in ("invisible", "reorderings", "deletions")),
        create("attack", "viper(space='homoglyphs')"),
    ],
)
def test_it_says_what_it_draws_from(attack: Attack) -> None:
    sample = sample_of(attack, "It's a well-made, fine film with good actors, their reviews and a great score")
    found = touched(lambda: drive(attack, sample, Random(0), VICTIM, max_queries=500))
    found |= {"masked-lm" for kind, _ in getattr(attack, "helpers", ()) if kind is FillMask}
    assert found <= material([attack.threat.candidates or "", *getattr(attack, "drawn_from", ())])


@every_attack
def test_error_free_when_closed_at_any_yield(attack: Attack) -> None:
    sample = sample_of(attack, "a good film about a great dog")
    total = drive(attack, sample, Random(0), VICTIM).queries
    for stop in range(1, min(total, 40)):
        assert drive(attack, sample, Random(0), VICTIM, max_queries=stop).queries == stop


@every_attack
def test_a_long_text_ends(attack: Attack) -> None:
    words = ["good", "great", "movie", "actors", "the"] * 400
    driven = drive(attack, sample_of(attack, " ".join(words)), Random(0), VICTIM, max_queries=600)
    assert driven.queries <= 600


@pytest.mark.parametrize(
    "selector",
    [
        "deepwordbug",
        "deepwordbug(variant='textattack')",
        "pruthi(max_words=2)",
        "pruthi(max_words=2, variant='textattack')",
        "pwws",
        "pwws(variant='textattack')",
    ],
)
def test_searches_fool_a_victim_that_counts_keywords(selector: str) -> None:
    attack = create("attack", selector)
    text, queries = drive(attack, sample_of(attack, KEYWORDS), Random(0), VICTIM)
    assert text is not None
    assert VICTIM.predict([str(text)])[0].argmax() == 0
    assert queries > 10


def changed(text: Text | None, string: str = KEYWORDS) -> set[str]:
    """The original's words that the attack changed."""
    assert text is not None
    return {old for old, new in zip(words_of(string), text.words, strict=True) if old != new}


@pytest.mark.parametrize("name", ["deepwordbug", "pwws"])
def test_ranked_attacks_change_the_keywords_and_nothing_else(name: str) -> None:
    for variant in ("paper", "textattack"):
        attack = create("attack", f"{name}(variant={variant!r})")
        assert changed(drive(attack, sample_of(attack, KEYWORDS), Random(0), VICTIM).text) == {"good", "great"}


def test_pwws_substitutes_synonyms_without_randomness() -> None:
    for attack in (create("attack", "pwws"), create("attack", "pwws(variant='textattack')")):
        text = drive(attack, sample_of(attack, KEYWORDS), Random(0), VICTIM).text
        assert text == drive(attack, sample_of(attack, KEYWORDS), Random(1), VICTIM).text
        assert text is not None
        assert all(new in (old, *synonyms(old)) for old, new in zip(words_of(KEYWORDS), text.words, strict=True))


def test_pwws_textattack_counts_as_textattack_does() -> None:
    """Clean prediction, one probe a word that is no stop word, every synonym, then synonyms again until success."""
    attack = create("attack", "pwws(variant='textattack')")
    text = Text(KEYWORDS)
    numbers = content_words(text)
    tried = [len(synonyms(text.word(number))) for number in numbers]
    searched = sum(len(synonyms(word)) for word in ("good", "great"))
    queries = drive(attack, sample_of(attack, KEYWORDS), Random(0), VICTIM).queries
    assert queries == 1 + len(numbers) + sum(tried) + searched


def test_deepwordbug_textattack_spares_stop_words_and_edits_a_word_once() -> None:
    attack = create("attack", "deepwordbug(variant='textattack')")
    string = "the good film of a good man and the good actor"
    text = drive(attack, sample_of(attack, string), Random(3), VICTIM).text
    assert not changed(text, string) & {"the", "of", "a", "and"}
    assert not violations(replace(attack.threat, max_edits_per_word=2), string, str(text))


def test_pruthi_tries_all_internal_edits_of_long_words() -> None:
    attack = create("attack", "pruthi")
    string = "a fine old film about these"  # these: a stop word
    queries = drive(attack, sample_of(attack, string), Random(0), KeywordVictim(keywords=((), ("?",)))).queries
    assert queries == 1 + len(internal_edits("fine"))  # a victim without evidence is fooled at once
    queries = drive(attack, sample_of(attack, string, label=0), Random(0), KeywordVictim(keywords=((), ("?",)))).queries
    assert queries == 1 + len(internal_edits("fine")) + len(internal_edits("film"))


def test_random_typos_return_their_draw_without_a_search() -> None:
    attack = create("attack", "random-typos")
    text, queries = drive(attack, sample_of(attack, KEYWORDS), Random(0), VICTIM)
    assert queries == 2
    assert len(changed(text)) == 1
    assert drive(create("attack", "random-typos(draws=5)"), sample_of(attack, KEYWORDS), Random(0), VICTIM).queries == 6


@pytest.mark.parametrize(
    "selector",
    [
        "deepwordbug(variant='mine')",
        "deepwordbug(edit='cut')",
        "pruthi(max_words=0)",
        "pruthi(variant='mine')",
        "pwws(variant='mine')",
        "random_typos(share=2)",
        "random_typos(draws=0)",
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


def test_drive_cuts_at_the_budget_and_reports_the_best_candidate() -> None:
    attack = create("attack", "random-typos(draws=3)")
    text, queries = drive(attack, sample_of(attack, KEYWORDS), Random(0), VICTIM, max_queries=3)
    assert queries == 3
    assert text is not None
    assert drive(attack, sample_of(attack, KEYWORDS), Random(0), VICTIM, max_queries=1) == (None, 1)
