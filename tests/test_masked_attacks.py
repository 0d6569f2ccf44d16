"""BERT-Attack, BAE and CLARE: what each asks of the masked language model, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from robustbench_nlp.attack import Attack, Blank, Encode, FillMask, Probe, Request, Score, Scores
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.blanks import Blanks, substitutes
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import FILLS, KeywordVictim, drive, helped, sample_of
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import Threat, measure, violations

VICTIM = KeywordVictim()
STRING = "This is a good movie with a great cast"
ROBUST = KeywordVictim(keywords=((), ("this", "This")))
"""Right whatever the attack does to the other words: it never ends early."""


def asked(attack: Attack, string: str = STRING, score: float = 0.0) -> list[Request]:
    """All that the attack asks of a victim that never gives in; every text scores the same."""
    steps, requests, answer = attack.run(sample_of(attack, string), Random(0)), list[Request](), None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration:
            return requests
        requests.append(request)
        if isinstance(request, Encode | FillMask):
            answer = helped(request)
        else:
            assert isinstance(request, Score | Probe)
            answer = Scores([score] * len(request.texts), [False] * len(request.texts))


def fills(requests: Sequence[Request]) -> list[FillMask]:
    return [request for request in requests if isinstance(request, FillMask)]


def words_tried(requests: Sequence[Request]) -> list[list[str]]:
    return [words_of(str(text)) for request in requests if isinstance(request, Score) for text in request.texts]


def test_blanks_stand_where_the_text_will_hold_the_word() -> None:
    text = Text("A (good) film.")
    blanks = Blanks(text)
    for number in range(3):
        before, after, word = blanks.at(number)
        assert before + "dull" + after == str(text.swap(number, "dull"))
        assert word is None
        assert blanks.at(number, masked=False) == (before, after, text.word(number))
    for number in range(4):
        before, after, _ = blanks.before(number)
        assert before + "dull" + after == str(text.insert(number, "dull"))
    assert blanks.at(0, words=2) == Blank("", ") film.")


def test_fills_take_the_case_of_the_word_and_never_are_the_word() -> None:
    assert substitutes([("good", 0.5), ("fine", 0.3)], "Good") == ["Fine"]
    assert substitutes([("good", 0.5), ("fine", 0.3)], "BAD") == ["GOOD", "FINE"]


def test_inside_drops_doubles_the_original_and_what_breaks_a_limit() -> None:
    text = Text("a good film")
    made = [text, text.swap(1, "bad"), text.swap(1, "bad"), text.swap(0, "the").swap(1, "bad")]
    assert inside(Threat(name="any"), str(text), made) == [made[1], made[3]]
    assert inside(Threat(name="one", max_words_changed=1), str(text), made) == [made[1]]


@pytest.mark.parametrize(
    "selector", ["bert_attack", "bae", "bae(operation='R/I')", "bae(operation='R+I')", "bae(operation='I')", "clare"]
)
def test_each_fools_a_victim_that_counts_keywords(selector: str) -> None:
    attack = replace(create("attack", selector), **({} if selector == "bert_attack" else {"min_cosine": -1.0}))  # type: ignore[type-var]
    text = drive(attack, sample_of(attack, STRING), Random(0), VICTIM).text
    assert text is not None
    assert VICTIM.predict([str(text)])[0].argmax() == 0
    assert set(words_of(str(text))) - set(words_of(STRING)) <= set(FILLS)


def test_bert_attack_reads_the_text_once_and_unmasked() -> None:
    (request,) = fills(asked(create("attack", "bert_attack(k=3, model='mine')")))
    assert (request.k, request.model) == (3, "mine")
    assert [blank.word for blank in request.items] == ["This", "good", "movie", "great", "cast"]
    assert all(str(blank.before) + str(blank.word) + blank.after == STRING for blank in request.items)


def test_bert_attack_spares_stop_words_antonyms_and_sixty_percent_of_the_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attack = create("attack", "bert_attack")
    monkeypatch.setattr("robustbench_nlp.fakes.FILLS", ("the", "bad", "movies", "film"))
    tried = words_tried(asked(attack))
    assert tried
    for words in tried:
        changed = {old: new for old, new in zip(words_of(STRING), words, strict=True) if old != new}
        assert len(changed) == 1
        assert "the" not in changed.values()
        assert changed.get("good") != "bad"
    string = "one two three four five"
    raised = KeywordVictim(keywords=((), tuple(words_of(string)) * 2))
    driven = drive(attack, sample_of(attack, string), Random(0), raised)
    assert driven.text is not None
    assert measure(string, str(driven.text)).words_changed == 2
    assert not violations(attack.threat, string, str(driven.text))


def test_bae_asks_for_each_word_in_the_text_as_it_stands() -> None:
    requests = asked(create("attack", "bae(min_cosine=-1.0)"))
    assert [len(request.items) for request in fills(requests)] == [1] * 5
    assert isinstance(requests[0], Probe)
    assert {len(words) for words in words_tried(requests)} == {len(words_of(STRING))}
    requests = asked(create("attack", "bae(min_cosine=-1.0, operation='I')"))
    assert [len(request.items) for request in fills(requests)] == [2] * 5
    assert {len(words) for words in words_tried(requests)} == {len(words_of(STRING)) + 1}
    assert [len(r.items) for r in fills(asked(create("attack", "bae(min_cosine=-1.0, operation='R/I')")))] == [3] * 5
    assert [len(r.items) for r in fills(asked(create("attack", "bae(min_cosine=-1.0, operation='R+I')")))] == [1, 2] * 5


def test_bae_takes_the_success_closest_to_the_original() -> None:
    steps = create("attack", "bae(min_cosine=-1.0)").run(sample_of(create("attack", "bae"), "a good film"), Random(0))
    request: Any = next(steps)
    while not isinstance(request, Encode):
        request = steps.send(
            helped(request) if isinstance(request, FillMask) else Scores([0.0] * len(request.texts), [])
        )
    angles = [0.0, 0.3, 0.1, *[0.2] * (len(request.items) - 3)]
    request = steps.send(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    texts = request.texts
    with pytest.raises(StopIteration) as end:
        steps.send(Scores([0.9 - 0.01 * i for i in range(len(texts))], [True] * len(texts)))
    assert end.value.value == texts[1]


def test_similarity_limits_what_bae_and_clare_try() -> None:
    for name in ("bae", "clare"):
        loose, strict = (words_tried(asked(create("attack", f"{name}(min_cosine={c})"))) for c in (-1.0, 0.999))
        assert loose
        assert not strict


def test_clare_asks_for_all_blanks_at_once() -> None:
    (request,) = fills(asked(create("attack", "clare")))
    text = Text(STRING)
    blanks = Blanks(text)
    inserts = [blanks.before(number + 1) for number in range(len(text))]
    replaces = [blanks.at(number) for number in (0, 3, 4, 7, 8)]
    merges = [blanks.at(number, words=2) for number in (3, 7)]
    assert set(request.items) == {*inserts, *replaces, *merges}


def test_clare_leaves_out_unlikely_words() -> None:
    counts = [
        len(words_tried(asked(create("attack", f"clare(min_cosine=-1.0, min_probability={p})"))))
        for p in (0.0, 0.2, 1.0)
    ]
    assert counts[0] > counts[1] > counts[2] == 0


def test_clare_applies_the_best_action_of_each_place_once() -> None:
    attack = create("attack", "clare(min_cosine=-1.0)")
    scores = asked(attack, score=0.9)  # every action raises the score
    together = [request.texts[0] for request in scores if isinstance(request, Score) and len(request.texts) == 1]
    sizes = [measure(STRING, str(text)).words_changed for text in together]
    assert sizes == sorted(sizes)
    assert sizes[0] == 2
    assert sizes[-1] >= len(words_of(STRING))


@pytest.mark.parametrize("selector", ["bert_attack", "bae(operation='R+I')", "clare"])
def test_tight_threats_are_kept(selector: str) -> None:
    threat = Threat(name="one", max_words_changed=1)
    attack = replace(create("attack", selector), threat=threat)  # type: ignore[type-var]
    driven = drive(attack, sample_of(attack, STRING), Random(0), ROBUST)
    assert driven.queries > 3
    assert driven.text is None or not violations(threat, STRING, str(driven.text))


def test_helper_calls_are_recorded_and_cost_no_queries() -> None:
    attack = create("attack", "bert_attack")
    given: Any = {(FillMask, "embedded"): lambda items, k: helped(FillMask(items, k))}
    sample = sample_of(attack, STRING)
    (record,) = Engine(attack, VICTIM, helpers=Helpers(given=given)).run([sample.example])
    assert record.outcome == "success"
    assert record.helper_calls == 5
    # the clean text, five words masked, the fills of "good" (but "bad", its antonym) and of "great"
    assert record.queries == 1 + 5 + (len(FILLS) - 1) + len(FILLS)


@pytest.mark.parametrize(
    "selector", ["bert_attack(k=0)", "bae(k=0)", "bae(operation='X')", "bae(min_cosine=2)", "clare(min_probability=-1)"]
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)
