"""Search strategies on small planted landscapes, and what the attacks that are made of them are known to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.attack import Request, Sample, Score, Scores, Steps
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.search.beam import beam
from robustbench_nlp.search.genetic import Evolution, evolve
from robustbench_nlp.search.greedy import best_single, in_order
from robustbench_nlp.search.restarts import random_order, random_search, restarted
from robustbench_nlp.search.swarm import Flight, swarm
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import Threat

NAMES = ("alzantot", "faster_genetic", "iga", "pso", "kuleshov", "leap")
OPEN = Threat(name="open")
Search = Callable[[Text, float, Random], Steps]


@dataclass(frozen=True)
class TableVictim(KeywordVictim):
    """The probability of class 0 by the words of a text; what the table doesn't know has the least of its scores."""

    table: tuple[tuple[str, float], ...] = ()

    def predict(self, inputs: Any, draw: int = 0) -> Any:
        known = dict(self.table)
        share = np.array([known.get(text, min(known.values())) for text in inputs], dtype=np.float32)
        return np.stack([share, 1 - share], axis=1)


@dataclass(frozen=True, kw_only=True)
class Searching:
    """An attack that is nothing but a search."""

    search: Search
    threat: Threat = OPEN

    def run(self, sample: Sample, rng: Random) -> Steps:
        return self.search(sample.text, sample.score, rng)


def options(**words: str) -> Callable[[Text, int], list[Text]]:
    """Candidates from a word's name and its alternatives, written with spaces between them."""
    return lambda text, number: [text.swap(number, new) for new in words.get(text.word(number), "").split()]


def landscape(**scores: float) -> TableVictim:
    """Scores by a text's words, written with underscores between them."""
    return TableVictim(table=tuple((key.replace("_", " "), value) for key, value in scores.items()))


def fooled(search: Search, string: str, victim: KeywordVictim, seed: int = 0, max_queries: int | None = None) -> bool:
    attack = Searching(search=search)
    text, _ = drive(attack, sample_of(attack, string), Random(seed), victim, max_queries)
    return text is not None and bool(victim.predict([str(text)])[0].argmax() == 0)


# The best first change leads nowhere; the second best, or the other word first, leads to the only success.
REST = " z z z z"
TRAP = TableVictim(
    table=tuple(
        (words + REST, score)
        for words, score in zip(
            ("a b", "p b", "q b", "a p", "a q", "p p", "p q", "q p", "q q"),
            (0.1, 0.4, 0.3, 0.15, 0.25, 0.35, 0.38, 0.2, 0.9),
            strict=True,
        )
    )
)
TRAPPED = "a b" + REST
FEW = options(a="p q", b="p q")


def greedily(text: Text, clean: float, numbers: Sequence[int], candidates: Any) -> Steps:
    """Greedy search over all words, in so many words."""
    current, left = text, list(numbers)
    while left:
        best = yield from best_single(current, left, candidates, first_success=False)
        if best is None or best.success:
            return best and best.text
        current = best.text
        left.remove(best.number)
    return None


STRATEGIES: dict[str, Search] = {
    "beam": lambda text, clean, rng: beam(text, clean, range(len(text)), FEW, width=2),
    "genetic": lambda text, clean, rng: evolve(text, clean, range(len(text)), FEW, rng),
    "genetic, hot": lambda text, clean, rng: evolve(
        text, clean, range(len(text)), FEW, rng, how=Evolution(temperature=0.3, crossover="one_cut", first="words")
    ),
    "swarm": lambda text, clean, rng: swarm(text, clean, range(len(text)), FEW, rng),
    "swarm by gains": lambda text, clean, rng: swarm(
        text, clean, range(len(text)), FEW, rng, how=Flight(first="gains", mutation="all", away_from="best")
    ),
    "random": lambda text, clean, rng: random_search(text, clean, range(len(text)), FEW, rng),
    "restarts": lambda text, clean, rng: restarted(
        lambda start, score: in_order(start, score, random_order(range(len(text)), rng), FEW),
        text,
        clean,
        numbers=range(len(text)),
        candidates=FEW,
        rng=rng,
        restarts=8,
        changes=1,
    ),
}
every_strategy = pytest.mark.parametrize("search", [pytest.param(s, id=name) for name, s in STRATEGIES.items()])


def test_greedy_falls_into_the_trap() -> None:
    assert not fooled(lambda text, clean, rng: greedily(text, clean, range(2), FEW), TRAPPED, TRAP)
    assert not fooled(lambda text, clean, rng: beam(text, clean, range(2), FEW), TRAPPED, TRAP)
    assert not fooled(lambda text, clean, rng: in_order(text, clean, range(2), FEW), TRAPPED, TRAP)


@every_strategy
def test_wider_searches_find_the_way_out(search: Search) -> None:
    assert all(fooled(search, TRAPPED, TRAP, seed) for seed in range(5))


@every_strategy
@pytest.mark.parametrize("string", ["", "a", "z z", "z", "…"])
def test_texts_with_little_or_nothing_to_change(search: Search, string: str) -> None:
    victim = landscape(x=0.1)
    attack = Searching(search=search)
    text, queries = drive(attack, sample_of(attack, string), Random(0), victim)
    assert queries <= 20
    assert "a" in string or text is None


def asked(steps: Steps, victim: KeywordVictim) -> Iterator[Request]:
    """The requests of a search that is told its true scores, and never of a success."""
    answer = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration:
            return
        assert isinstance(request, Score)
        yield request
        outputs = victim.predict([str(text) for text in request.texts])
        answer = Scores([float(row[0]) for row in outputs], [False] * len(outputs))


SENTENCE = Text("a b a b a b a b a b a b")


@every_strategy
def test_same_seed_same_requests_and_nothing_is_asked_twice(search: Search) -> None:
    runs = [
        [list(map(str, request.texts)) for request in asked(search(SENTENCE, 0.1, Random(seed)), TRAP)]  # type: ignore[union-attr]
        for seed in (0, 0)
    ]
    assert runs[0] == runs[1]
    assert all(len(set(texts)) == len(texts) for texts in runs[0])
    assert all(str(SENTENCE) not in texts for texts in runs[0])


@pytest.mark.parametrize("how", [Evolution(generations=5), Evolution(generations=5, first="words", chained=True)])
def test_a_generation_is_one_request(how: Evolution) -> None:
    requests = list(asked(evolve(SENTENCE, 0.1, range(len(SENTENCE)), FEW, Random(0), how=how), TRAP))
    assert len(requests) == 1 + how.generations
    assert all(len(request.texts) <= how.population * 3 for request in requests)  # type: ignore[union-attr]
    assert len(requests[-1].texts) > how.population  # type: ignore[union-attr]


def test_an_iteration_of_a_swarm_is_two_requests() -> None:
    how = Flight(iterations=3)
    requests = list(asked(swarm(SENTENCE, 0.1, range(len(SENTENCE)), FEW, Random(0), how=how), TRAP))
    assert len(requests) == 1 + 2 * how.iterations


@pytest.mark.parametrize("generations", [0, 3])
def test_a_word_is_replaced_as_often_as_the_settings_say(generations: int) -> None:
    """`a` leads to `b` and on to `c`; only chained replacement gets there, if it may replace twice."""
    chain, victim = options(a="b", b="c"), landscape(a=0.1, b=0.2, c=0.9)

    def reaches(**how: Any) -> bool:
        evolution = Evolution(generations=generations, **how)
        return fooled(lambda text, clean, rng: evolve(text, clean, [0], chain, rng, how=evolution), "a", victim)

    assert reaches(chained=True, replacements=2) == (generations > 0)
    assert not reaches(chained=True, replacements=1)
    assert not reaches(chained=False, replacements=None)


def test_a_word_may_change_again_to_another_candidate_of_the_original_word() -> None:
    """With the second word changed nothing helps but the first word's weaker candidate."""
    victim = landscape(a_b=0.1, p_b=0.4, q_b=0.3, a_r=0.05, p_r=0.45, q_r=0.9)
    choices = options(a="p q", b="r")
    again = Evolution(replacements=None)
    searches = [lambda t, c, rng, how=how: evolve(t, c, [0, 1], choices, rng, how=how) for how in (Evolution(), again)]
    assert [fooled(search, "a b", victim) for search in searches] == [False, True]


TABLES = st.lists(st.integers(0, 1000), min_size=26, max_size=26, unique=True)


def cube(values: Sequence[int], top: float) -> TableVictim:
    """Distinct scores up to `top` for all texts of three words, x, y or z each, but the first."""
    texts = [" ".join(words) for words in product("xyz", repeat=3)]
    return TableVictim(table=((texts[0], 0.0), *zip(texts[1:], (top * v / 1000 for v in values), strict=True)))


ANY = options(x="y z", y="x z", z="x y")


@settings(max_examples=40, deadline=None)
@given(TABLES, st.sampled_from([0.4, 0.6, 1.0]))
def test_beam_of_width_one_is_greedy_and_a_wide_one_finds_what_there_is(values: Sequence[int], top: float) -> None:
    victim = cube(values, top)
    narrow = Searching(search=lambda text, clean, rng: beam(text, clean, range(3), ANY))
    plain = Searching(search=lambda text, clean, rng: greedily(text, clean, range(3), ANY))
    sample = sample_of(narrow, "x x x")
    assert drive(narrow, sample, Random(0), victim) == drive(plain, sample, Random(0), victim)
    exists = max(score for _, score in victim.table) > 0.5
    assert fooled(lambda text, clean, rng: beam(text, clean, range(3), ANY, width=27), "x x x", victim) == exists


def test_a_beam_goes_on_to_its_target() -> None:
    victim = landscape(a_b=0.1, p_b=0.6, a_p=0.2, p_p=0.8)
    few = options(a="p", b="p")
    for target, found in ((0.0, "p b"), (0.7, "p p"), (0.9, "p p")):
        attack = Searching(search=lambda text, clean, rng, t=target: beam(text, clean, range(2), few, target=t))
        assert str(drive(attack, sample_of(attack, "a b"), Random(0), victim).text) == found


def test_random_search_is_weaker_than_greedy() -> None:
    """Of ten candidates of each word one helps and nine don't, and five of nine must help; both searches may ask as much."""
    string = "good great fine good great fine good great fine"
    useless = [f"good{i}" for i in range(9)]
    many = options(**dict.fromkeys(words_of(string), " ".join([*useless, "dull"])))
    victim = KeywordVictim(keywords=(("dull",), ("good", "great", "fine", *useless)))
    numbers = range(len(words_of(string)))
    budget = 1 + 2 * len(numbers) * 10
    searches: list[Search] = [
        lambda text, clean, rng: in_order(text, clean, random_order(numbers, rng), many),
        lambda text, clean, rng: random_search(text, clean, numbers, many, rng, texts=budget),
    ]
    greedy, chance = [sum(fooled(s, string, victim, seed, budget) for seed in range(20)) for s in searches]
    assert (greedy, chance) == (20, 0)


def test_limits_count_changed_slots_and_never_lead_back() -> None:
    text = Text("a b c d e")
    limits = Limits(Threat(name="t", max_words_share=0.4), text)
    within = limits.within(options(a="p", b="p", c="p", p="a q"))
    two = text.replace({0: "p", 1: "p"})
    assert limits.allow(two)
    assert not limits.allow(two.swap(2, "p"))
    assert [str(t) for t in within(two, 0)] == ["a p c d e", "q p c d e"]
    assert within(two, 2) == []
    assert [str(t) for t in within(text.swap(0, "p"), 0)] == ["q b c d e"]


@pytest.mark.parametrize(("string", "allowed"), [("0 戕", ["0 bad"]), ("0戕", []), ("戕-0", [])])
def test_limits_see_a_word_that_runs_into_its_neighbour(string: str, allowed: list[str]) -> None:
    text = Text(string)
    within = Limits(Threat(name="t", max_words_share=0.5), text).within(options(戕="bad"))
    assert [str(t) for t in within(text, text.words.index("戕"))] == allowed
