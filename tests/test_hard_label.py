"""Attacks that see only decisions: the way to a flip and back, what refinement gains, and greedy attacks without scores."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from random import Random
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.attack import Attack, Encode, Request, Score, Scores
from robustbench_nlp.data.example import Example
from robustbench_nlp.edits.words import candidate_maker
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, sample_of
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.records import Record
from robustbench_nlp.search.hard_label import Ground, Opening, opening, put_back, random_start
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import violations
from robustbench_nlp.victim import Victim

HARD_LABEL = ("hlbb", "texthoaxer")
every_attack = pytest.mark.parametrize("name", HARD_LABEL)
LOCKED = "a strange film about happy people in a small house by the river"
CHOICES = {1: ["odd", "unusual"], 2: ["movie", "picture"], 4: ["glad"], 8: ["little", "tiny"]}


@dataclass(frozen=True, kw_only=True)
class LockVictim(KeywordVictim):
    """Is fooled when `most` of the locks (None: all) are no longer in the text, whatever else is."""

    locks: tuple[str, ...] = ("film", "small")
    most: int | None = None

    def predict(self, inputs: Any, draw: int = 0) -> Any:
        most = len(self.locks) if self.most is None else self.most
        held = np.array([len(set(self.locks) - set(words_of(text))) < most for text in inputs])
        share = np.where(held, 0.9, 0.2).astype(np.float32)
        return np.stack([1 - share, share], axis=1)


def letters(texts: Sequence[str]) -> Any:
    """An encoder that counts pairs of letters, hashed to 256 places: unit vectors, alike for texts that look alike."""
    vectors = np.full((len(texts), 256), 1e-3, dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for pair in pairwise(text):
            row[crc32("".join(pair).encode("utf-8", "surrogatepass")) % 256] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cosine(one: str, other: str) -> float:
    first, second = letters([one, other])
    return float(first @ second)


def answered(steps: Generator[Request, Any, Any], victim: Victim, label: int = 1) -> tuple[Any, list[str]]:
    """What a generator returns when the victim's decisions and `letters` answer it, and the texts it asked for in order."""
    asked: list[str] = []
    answer: Any = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as end:
            return end.value, asked
        if isinstance(request, Encode):
            answer = letters(request.items)
        else:
            assert isinstance(request, Score)
            strings = [str(text) for text in request.texts]
            asked += strings
            fooled = [bool(row.argmax() != label) for row in victim.predict(strings)]
            answer = Scores([float(fool) for fool in fooled], fooled)


def run(attack: Attack, victim: Victim, strings: Sequence[str], **kwargs: Any) -> list[Record]:
    """The records of the engine, in the order of the texts; `letters` is the encoder."""
    examples = [Example(fields={"text": string}, label=1) for string in strings]
    engine = Engine(attack, victim, name="test", helpers=Helpers(given={(Encode, "embedded"): letters}), **kwargs)
    found = {record.example_id: record for record in engine.run(examples)}
    return [found[example.id] for example in examples]


def adversarial(record: Record) -> str:
    assert isinstance(record.adversarial, str)
    return record.adversarial


def changed(record: Record) -> list[str]:
    """The original's words that the attack changed."""
    pairs = zip(words_of(str(record.original)), words_of(adversarial(record)), strict=True)
    return [old for old, new in pairs if old != new]


# The shared moves


@pytest.mark.parametrize("seed", range(5))
def test_a_random_start_fools_the_victim_and_puts_ever_more_choices_in(seed: int) -> None:
    ground = Ground(Text(LOCKED))
    text, asked = answered(random_start(ground, CHOICES, Random(seed), tries=50), LockVictim())
    assert not {"film", "small"} & set(words_of(str(text)))
    assert str(text) == asked[-1]
    counts = [len(ground.changed(Text(string))) for string in asked]
    assert counts == sorted(counts)
    assert counts[0] == 1


def test_a_random_start_gives_up_after_its_tries() -> None:
    text, asked = answered(random_start(Ground(Text(LOCKED)), CHOICES, Random(0), tries=50), LockVictim(locks=("a",)))
    assert text is None
    assert len(asked) == len(set(asked)) <= 4 + 50  # never the same text twice


def test_a_random_start_stays_inside_the_threat() -> None:
    ground = Ground(Text(LOCKED), lambda text: sum(map(str.__ne__, text.words, words_of(LOCKED))) <= 2)
    text, asked = answered(random_start(ground, CHOICES, Random(0), tries=500), LockVictim())
    assert text is not None
    assert max(len(ground.changed(Text(string))) for string in asked) == 2


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(sorted(CHOICES)), min_size=1), st.integers(0, 99))
def test_put_back_leaves_the_planted_words_and_nothing_else(planted: set[int], seed: int) -> None:
    original, rng = Text(LOCKED), Random(seed)
    victim = LockVictim(locks=tuple(original.word(number) for number in planted))
    start = original.replace({number: rng.choice(words) for number, words in CHOICES.items()})
    ground = Ground(original)
    text, asked = answered(put_back(ground, start), victim)
    assert set(ground.changed(text)) == planted
    assert all(text.word(number) == start.word(number) for number in planted)
    assert LOCKED not in asked
    assert len(set(asked)) == len(asked)


def test_put_back_puts_back_first_what_brings_the_text_nearest() -> None:
    """Either change fools the victim: the one that is left is the more similar."""
    start = Text(LOCKED).replace({2: "films", 8: "diminutive"})
    text, _ = answered(put_back(Ground(Text(LOCKED)), start), LockVictim(most=1))
    assert str(text) == LOCKED.replace("film", "films")


# The attacks


@every_attack
def test_only_the_planted_words_change(name: str) -> None:
    for victim in (LockVictim(), LockVictim(locks=("house",)), LockVictim(locks=("film", "house", "people"))):
        (record,) = run(create("attack", name), victim, [LOCKED])
        assert record.outcome == "success"
        assert sorted(changed(record)) == sorted(victim.locks)


@every_attack
def test_they_fool_the_keyword_victim_by_its_keywords(name: str) -> None:
    (record,) = run(create("attack", name), KeywordVictim(), ["a good film with a great cast and bad light"])
    assert record.outcome == "success"
    assert sorted(changed(record)) == ["good", "great"]


@every_attack
def test_refinement_raises_the_similarity_of_the_start(name: str) -> None:
    attack, victim, gains = create("attack", name), LockVictim(locks=("film", "house", "strange")), []
    for seed in range(8):
        sample = sample_of(attack, LOCKED)
        begun = opening(sample, candidate_maker(attack.candidates), Random(seed), model="embedded", tries=2500)
        start: Opening = answered(begun, victim)[0]
        text, _ = answered(attack.run(sample, Random(seed)), victim)
        gains.append(cosine(LOCKED, str(text)) - cosine(LOCKED, str(start.text)))
    assert min(gains) >= 0
    assert sum(gain > 0 for gain in gains) >= 6


def test_hlbb_finds_the_most_similar_of_all_texts() -> None:
    attack, victim = create("attack", "hlbb"), LockVictim()
    sample = sample_of(attack, LOCKED)
    start: Opening = answered(
        opening(sample, candidate_maker(attack.candidates), Random(0), model="", tries=99), victim
    )[0]
    pairs = product(start.choices[2], start.choices[8])
    best = max(cosine(LOCKED, str(sample.text.replace({2: one, 8: other}))) for one, other in pairs)
    text, _ = answered(attack.run(sample, Random(0)), victim)
    assert cosine(LOCKED, str(text)) == pytest.approx(best, abs=1e-5)


@every_attack
def test_scores_are_never_read(name: str) -> None:
    """The same texts are asked under a score threat: only confirmed successes count."""
    attack = create("attack", name)
    strings = [LOCKED, "a good film with a great cast and bad light"]
    for victim in (LockVictim(), KeywordVictim()):
        blind = run(attack, victim, strings)
        seeing = run(replace(attack, threat=replace(attack.threat, knowledge="score")), victim, strings)
        assert [r.adversarial for r in blind] == [r.adversarial for r in seeing]
        assert [r.queries for r in blind] == [r.queries for r in seeing]


@every_attack
def test_budgets_nest(name: str) -> None:
    attack = create("attack", name)
    full = run(attack, LockVictim(), [LOCKED])[0]
    before = False
    for budget in (0, 1, 2, 5, 10, 20, 40, 80, 10_000):
        (record,) = run(attack, LockVictim(), [LOCKED], max_queries=budget)
        assert record.queries <= max(1, budget)
        assert record.outcome in ("success", "failed")
        assert record.outcome == "success" or not before
        before = record.outcome == "success"
        if before:
            assert record.first_success_query == full.first_success_query
    assert before
    assert record.adversarial == full.adversarial


@every_attack
def test_same_seed_same_records_whatever_runs_beside_it(name: str) -> None:
    attack, victim = create("attack", name), LockVictim()
    strings = [LOCKED, LOCKED + " today", "a small film", "film", "", "🙂 \ud800 small\x00film"]
    kept = [
        [{**asdict(record), "seconds": 0.0} for record in run(attack, victim, strings, seed=3, live=live)]
        for live in (1, 64)
    ]
    assert kept[0] == kept[1]
    assert all(record["outcome"] != "error" for record in kept[0])
    other = run(attack, victim, strings, seed=4)
    assert [record["queries"] for record in kept[0]] != [record.queries for record in other]


@every_attack
def test_limits_of_the_threat_hold_all_the_way(name: str) -> None:
    attack = create("attack", name)
    threat = replace(attack.threat, max_words_share=0.25, max_edits=20)
    sample = replace(sample_of(attack, LOCKED), threat=threat)
    text, asked = answered(attack.run(sample, Random(0)), LockVictim())
    assert text is not None
    assert not any(violations(threat, LOCKED, string) for string in asked)
    assert run(replace(attack, threat=threat), LockVictim(), [LOCKED])[0].rejected_successes == 0


@every_attack
def test_a_victim_that_cannot_be_fooled_costs_the_tries(name: str) -> None:
    attack = create("attack", f"{name}(tries=20)")
    (record,) = run(attack, LockVictim(locks=("a",)), [LOCKED])
    assert record.outcome == "failed"
    assert record.helper_calls == 0
    assert 20 < record.queries <= 20 + len(words_of(LOCKED))


@pytest.mark.parametrize(
    "selector",
    [
        "hlbb(population=1)",
        "hlbb(patience=0)",
        "hlbb(candidates='x')",
        "texthoaxer(iterations=-1)",
        "texthoaxer(probe=0)",
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


@every_attack
def test_the_threat_follows_the_candidates(name: str) -> None:
    threat = create("attack", f"{name}(candidates='wordnet')").threat
    assert (threat.knowledge, threat.candidates) == ("decision", "wordnet-3.0")
    assert threat.name != create("attack", name).threat.name


# Greedy attacks under a decision threat: a score is 1 or 0, so words have no rank until one alone decides

TWO_KEYWORDS = "a good film with a great cast and bad light"


def blind(selector: str) -> Any:
    attack = create("attack", selector)
    return replace(attack, threat=replace(attack.threat, knowledge="decision"))


@pytest.mark.parametrize("selector", ["deepwordbug", "pwws"])
def test_attacks_that_edit_without_asking_go_on_from_word_to_word(selector: str) -> None:
    """They succeed still, but in the text's order, and so with more changes than the two that it takes."""
    (seeing,) = run(create("attack", selector), KeywordVictim(), [TWO_KEYWORDS])
    (record,) = run(blind(selector), KeywordVictim(), [TWO_KEYWORDS])
    assert record.outcome == seeing.outcome == "success"
    assert sorted(changed(seeing)) == ["good", "great"]
    assert set(changed(record)) > {"good", "great"}
    assert record.queries > seeing.queries


@pytest.mark.parametrize("selector", ["deepwordbug(variant='textattack')", "pwws(variant='textattack')"])
def test_attacks_that_keep_what_raises_the_score_find_single_words_only(selector: str) -> None:
    assert run(create("attack", selector), KeywordVictim(), [TWO_KEYWORDS])[0].outcome == "success"
    (record,) = run(blind(selector), KeywordVictim(), [TWO_KEYWORDS])
    assert record.outcome == "failed"
    assert record.words_changed == 1
    (record,) = run(blind(selector), LockVictim(locks=("film",)), [TWO_KEYWORDS])
    assert (record.outcome, changed(record)) == ("success", ["film"])


@pytest.mark.parametrize("selector", ["pruthi", "pruthi(variant='textattack')"])
def test_trying_every_single_edit_needs_no_scores(selector: str) -> None:
    for victim in (KeywordVictim(), LockVictim(locks=("film",))):
        seeing, record = (
            run(attack, victim, [TWO_KEYWORDS])[0] for attack in (create("attack", selector), blind(selector))
        )
        assert (record.outcome, record.queries) == (seeing.outcome, seeing.queries)
    assert record.outcome == "success"


@pytest.mark.parametrize("selector", ["deepwordbug", "pwws", "pruthi"])
def test_a_success_ends_a_greedy_attack_with_nothing_to_gain(selector: str) -> None:
    (record,) = run(blind(selector), LockVictim(locks=("film",)), [TWO_KEYWORDS])
    assert record.outcome == "success"
    assert changed(record)[-1] == "film"
    assert record.first_success_query is not None
    assert not violations(blind(selector).threat, TWO_KEYWORDS, adversarial(record))
