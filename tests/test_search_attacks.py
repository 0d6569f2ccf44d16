"""What the attacks that are made of search strategies are known to do."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

import pytest
from test_search import NAMES, OPEN, asked

from robustbench_nlp.attacks import leap
from robustbench_nlp.data.example import Example
from robustbench_nlp.edits import words as word_sets
from robustbench_nlp.edits.synonyms import with_synonyms
from robustbench_nlp.edits.words import candidate_maker, word_threat
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.plugins import create
from robustbench_nlp.search.swarm import LIMIT, Weather
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import violations


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_ends_an_attack_at_its_budget(name: str) -> None:
    example = Example(fields={"text": REVIEW}, label=1)
    for budget in (1, 2, 30):
        engine = Engine(create("attack", name), STUBBORN, max_queries=budget)
        (record,) = engine.run([example])
        assert (record.outcome, record.queries) == ("failed", budget)


REVIEW = "A good film with great actors, clever jokes and a strange plot about an old doctor who lost his small dog"
STUBBORN = KeywordVictim(keywords=(("qwertz",), ("a", "A", "an", "and", "with", "about")))


@pytest.mark.parametrize("name", NAMES)
def test_attacks_change_the_words_that_matter_to_synonyms(name: str) -> None:
    attack = create("attack", name)
    for seed in range(3):
        text, queries = drive(attack, sample_of(attack, REVIEW), Random(seed), KeywordVictim())
        assert text is not None
        assert KeywordVictim().predict([str(text)])[0].argmax() == 0
        assert not {"good", "great"} & set(text.words)
        assert not violations(attack.threat, REVIEW, str(text))
        assert queries > 20


@pytest.mark.parametrize("name", NAMES)
def test_a_tighter_threat_is_kept_by_the_search_itself(name: str) -> None:
    attack = create("attack", name)
    for limits in ({"max_edits": 5}, {"max_words_changed": 1}, {"max_edits_per_word": 3}):
        tight = replace(attack, threat=replace(attack.threat, **limits))
        for request in islice(asked(tight.run(sample_of(tight, REVIEW), Random(0)), STUBBORN), 4):
            assert all(not violations(tight.threat, REVIEW, str(text)) for text in request.texts)  # type: ignore[union-attr]


def test_published_sizes() -> None:
    sizes = {name: create("attack", name) for name in NAMES}
    assert [(a.population, a.generations) for a in map(sizes.get, NAMES[:3])] == [(60, 20), (60, 40), (60, 20)]
    assert [(a.particles, a.iterations) for a in (sizes["pso"], sizes["leap"])] == [(60, 20), (60, 20)]
    assert [a.threat.max_words_share for a in sizes.values()] == [0.2, 0.2, 0.2, 0.25, 0.5, 0.16]


def test_kuleshov_pushes_on_to_its_target() -> None:
    string = REVIEW.replace("strange", "fine")
    queries = [
        drive(attack, sample_of(attack, string), Random(0), KeywordVictim(keywords=(("goodness",), ("good",)))).queries
        for attack in (create("attack", f"kuleshov(target={target})") for target in (0.0, 0.99))
    ]
    assert queries[0] < queries[1]


def test_leaps_flights() -> None:
    rng = Random(0)
    steps = [leap._levy_between(-LIMIT, LIMIT, rng) for _ in range(500)]
    assert max(map(abs, steps)) <= LIMIT
    assert abs(sum(steps) / len(steps)) < 0.3
    assert leap._inertia(Weather(0.5, 0.1, 0.3, 0.1), rng) == pytest.approx(0.2)
    assert leap._inertia(Weather(0.5, 0.2, 0.3, 0.1), rng) == pytest.approx(0.5)
    assert 0.5 <= leap._inertia(Weather(0.5, 0.4, 0.3, 0.1), rng) <= 0.8
    assert sum(leap._softmax([3.0, -900.0, 900.0])) == pytest.approx(1)


def test_wordnet_candidates_are_the_synonyms_that_are_single_words() -> None:
    text = Text("a good doctor")
    candidates = candidate_maker("wordnet")
    for number in range(3):
        singles = [t for t in with_synonyms(text, number) if words_of(t.word(number)) == [t.word(number)]]
        assert sorted(map(str, candidates(text, number))) == sorted(map(str, singles))


def test_neighbours_take_the_case_and_the_number_of_their_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def table(word: str, k: int = 50) -> tuple[tuple[str, float], ...]:
        return (*((f"{word}{i}", 0.9) for i in range(k - 1)), ("two words", 0.1))

    module = "robustbench_nlp.lexicon.neighbours"
    monkeypatch.setattr(f"{module}.neighbours", table, raising=False)
    monkeypatch.setattr(f"{module}.from_vectors", lambda path: table, raising=False)
    for cached in (word_sets._lookup, candidate_maker):
        monkeypatch.setattr(word_sets, cached.__name__, cached.__wrapped__)
    make, text = word_sets.candidate_maker, Text("good Good GOOD I")
    assert [[t.word(n) for t in make("neighbours(3)")(text, n)] for n in range(4)] == [
        ["good0", "good1"],
        ["Good0", "Good1"],
        ["GOOD0", "GOOD1"],
        ["I0", "I1"],
    ]
    assert len(make("neighbours(9,0.9)")(text, 0)) == 8
    assert make("neighbours(9,0.95)")(text, 0) == []
    assert len(make("neighbours")(text, 0)) == len(make(f"vectors:{tmp_path}")(text, 0)) == 49


@pytest.mark.parametrize(
    "name",
    ["hownet", "wordnet(3)", "neighbours(0)", "neighbours()", "neighbours(8,2)", "neighbours(8,)", "vectors:", ""],
)
def test_unknown_candidates_are_told_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="write wordnet, neighbours"):
        candidate_maker(name)
    with pytest.raises(UsageError):
        create("attack", f"pso(candidates={name!r})")


def test_the_default_threat_follows_the_candidates() -> None:
    for name in NAMES:
        attack = create("attack", f"{name}(candidates='neighbours(8)')")
        assert attack.threat.candidates == "neighbours(8)"
        assert attack.threat.name.startswith("neighbours_")
        own = replace(attack, threat=OPEN)
        assert own.threat == OPEN
    assert str(word_threat("wordnet", 0.2)) == "wordnet_20@1"


@pytest.mark.parametrize(
    "selector",
    [
        "alzantot(population=1)",
        "alzantot(temperature=0)",
        "faster_genetic(generations=-1)",
        "iga(replacements=0)",
        "pso(particles=0)",
        "leap(iterations=-1)",
        "kuleshov(width=0)",
        "kuleshov(target=2)",
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)
