"""Behavioural and sentence attacks: what each of them is known to try."""

from __future__ import annotations

from random import Random

import pytest

from robustbench_nlp.attack import Score, Scores
from robustbench_nlp.attacks import morpheus
from robustbench_nlp.attacks.distractor import CLAUSES
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.lexicon.names import namesakes
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text

VICTIM = KeywordVictim()


def tried(selector: str, string: str, seed: int = 0) -> list[str]:
    """Every candidate that an attack makes when nothing succeeds or raises the score."""
    attack = create("attack", selector)
    steps = attack.run(sample_of(attack, string), Random(seed))
    found: list[str] = []
    answer = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration:
            return found
        assert isinstance(request, Score)
        found += map(str, request.texts)
        answer = Scores([0.0] * len(request.texts), [False] * len(request.texts))


def fooled(selector: str, string: str, **keywords: tuple[str, ...]) -> str | None:
    """What an attack makes of a positive text against a victim with these keywords."""
    victim = KeywordVictim(keywords=(keywords.get("negative", ()), keywords.get("positive", ())))
    attack = create("attack", selector)
    text = drive(attack, sample_of(attack, string), Random(0), victim).text
    if text is None or victim.predict([str(text)])[0].argmax() == 1:
        return None
    return str(text)


def test_checklist_expands_and_contracts() -> None:
    changes = "checklist(changes=('contractions',))"
    assert tried(changes, "It's dull") == ["It is dull", "It has dull"]
    assert tried(changes, "you don’t say") == ["you do not say"]
    assert tried(changes, "It is DO NOT") == ["It's DO NOT", "It is DON'T"]
    assert tried(changes, "it, is") == tried(changes, "it") == []


def test_checklist_changes_names_and_places_within_their_group() -> None:
    found = tried("checklist", "John saw france")
    assert len(found) == 6
    assert all(text.split()[0] in namesakes("John") and text.endswith(" saw france") for text in found[:3])
    places = [text.removeprefix("John saw ") for text in found[3:]]
    assert all(place.islower() and place.capitalize() in namesakes("France") for place in places)
    assert len(tried("checklist(k=5)", "John")) == 5


def test_checklist_changes_numbers_that_rate_nothing() -> None:
    found = tried("checklist", "made in 1995")
    assert 1 <= len(found) <= 3
    assert all(text.startswith("made in ") and len(text) == 12 and text != "made in 1995" for text in found)
    for rating in ("4 stars", "8/10", "7 out of 10", "90%", "90 %", "version ２"):
        assert tried("checklist", rating) == []


def test_checklist_adds_changes_up_until_the_victim_is_fooled() -> None:
    string = "It's what John will do"
    found = fooled("checklist", string, negative=("is",), positive=("John", "do"))
    assert found is not None
    assert found.startswith("It is what ")
    assert "John" not in found
    assert fooled("checklist", "a fine film", positive=("fine",)) is None


def test_morpheus_inflects_as_every_part_of_speech() -> None:
    assert {"good", "best"} <= set(morpheus.inflections("better"))
    assert "films" in morpheus.inflections("film")
    assert "filmed" in morpheus.inflections("film")
    assert set(morpheus.inflections("is")) >= {"be", "was", "are"}
    assert morpheus.inflections("happily") == morpheus.inflections("xqzzt") == ()


def test_morpheus_keeps_the_most_damaging_inflection_of_each_word() -> None:
    assert fooled("morpheus", "Actors run", negative=("Actor", "ran"), positive=("Actors",)) == "Actor run"
    assert fooled("morpheus", "a run of films", negative=("ran", "film"), positive=("run", "films")) == "a ran of films"
    order = "morpheus(backwards=True)"
    assert fooled(order, "a run of films", negative=("ran", "film"), positive=("run", "films")) == "a run of film"
    assert all(text.endswith(" Films") for text in tried("morpheus", "see Films"))


def test_morpheus_names_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(morpheus, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'robustbench-nlp\[inflect\]'"):
        create("attack", "morpheus")


def test_distractor_adds_something_at_one_end_and_keeps_the_text() -> None:
    string = "A good film."
    found = tried("distractor(k=200)", string)
    assert all(text.startswith(string + " ") or text.endswith(" " + string) for text in found)
    added = {text.replace(string, "").strip() for text in found}
    assert any(words.startswith("https://") for words in added)
    assert any(words.startswith("@") for words in added)
    assert added & set(CLAUSES)
    assert len(tried("distractor(k=7)", string)) <= 7


def test_distractor_finds_the_clause_that_misleads() -> None:
    found = fooled("distractor(k=100)", "a good film", negative=("raining", "day"), positive=("good",))
    assert found is not None
    assert "raining" in found


def test_stress_test_adds_tautologies_before_the_end() -> None:
    overlap, negation, length = tried("stress_test", "A good film.")
    assert overlap == "A good film and true is true."
    assert negation == "A good film and false is not true."
    assert length == "A good film" + " and true is true" * 5 + "."
    assert tried("stress-test(kinds=('negation',))", "🙂") == ["🙂and false is not true"]


def test_stress_test_stops_at_the_first_success() -> None:
    assert fooled("stress_test", "good", negative=("false", "not"), positive=("good",)) == "good and false is not true"


@pytest.mark.parametrize(
    "selector", ["checklist(k=0)", "checklist(changes=('mood',))", "distractor(k=0)", "stress_test(kinds=('size',))"]
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


def test_a_contracted_pair_leaves_its_second_slot_empty() -> None:
    attack = create("attack", "checklist")
    text = drive(attack, sample_of(attack, "it is good"), Random(0), KeywordVictim(keywords=(("it's",), ("is",)))).text
    assert text is not None
    assert text.words == ["it's", "", "good"]
    assert isinstance(text, Text)
