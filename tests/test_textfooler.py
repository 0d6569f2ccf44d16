"""TextFooler and A2T: by the user's own small vectors, so that every candidate is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from robustbench_nlp.attack import Encode, Gradient, Gradients, Probe, Request, Score, Scores, Steps
from robustbench_nlp.attacks.a2t import A2T, NEIGHBOURS
from robustbench_nlp.attacks.textfooler import TextFooler
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import Threat, violations

VICTIM = KeywordVictim()
STRING = "This is a good movie with a great cast"
VECTORS = """good 1 0 0 0
nice 0.95 0.1 0 0
bad 0.8 0.3 0 0
quickly 0.99 0 0 0
great 0 1 0 0
awful 0 0.9 0.3 0
movie 0 0 1 0
film 0 0 0.99 0.1
cast 0 0 0 1
"""


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    path = tmp_path / "vectors.txt"
    path.write_text(VECTORS, "utf-8")
    return str(path)


def answered(steps: Steps, cosines: dict[str, float], scores: dict[str, float]) -> tuple[Text | None, list[Request]]:
    """Drive by hand: a text's cosine and score are the product and the highest of what its words have; 0.9 and more fools."""
    asked: list[Request] = []
    answer: object = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as stop:
            return stop.value, asked
        asked.append(request)
        if isinstance(request, Encode):
            near = [float(np.prod([cosines.get(word, 1.0) for word in words_of(item)])) for item in request.items]
            answer = np.array([[c, np.sqrt(max(0.0, 1 - c * c))] for c in near], np.float32)
        elif isinstance(request, Gradient):
            words = request.texts[0].words
            size = np.array([[0.0], *([scores.get(word, 0.0)] for word in words)], np.float32)
            answer = [Gradients(1.0, np.repeat(size, 4, axis=1), [-1, *range(len(words))])]
        else:
            assert isinstance(request, Score | Probe)
            found = [max(scores.get(word, 0.1) for word in text.words) for text in request.texts]
            answer = Scores(found, [isinstance(request, Score) and score >= 0.9 for score in found])


def test_textfooler_fools_a_victim_that_counts_keywords(vectors: str) -> None:
    attack = TextFooler(vectors=vectors, min_similarity=0.0)
    driven = drive(attack, sample_of(attack, STRING), Random(0), VICTIM)
    assert driven.text is not None
    assert VICTIM.predict([str(driven.text)])[0].argmax() == 0
    assert driven == drive(attack, sample_of(attack, STRING), Random(1), VICTIM)  # nothing is drawn


def test_textfooler_takes_the_closest_success(vectors: str) -> None:
    attack = TextFooler(vectors=vectors, min_similarity=0.5)
    scores = {"nice": 0.9, "bad": 0.99, "good": 0.05, "film": 0.2}
    text, asked = answered(attack.run(sample_of(attack, "a good movie"), Random(0)), {"nice": 0.95, "bad": 0.9}, scores)
    assert str(text) == "a nice movie"  # not bad, which scores higher
    assert isinstance(asked[-1], Score)
    assert asked[-1].preference == [0.95, 0.9]


def test_textfooler_keeps_what_raises_the_score_and_goes_on(vectors: str) -> None:
    attack = TextFooler(vectors=vectors, min_similarity=0.5)
    scores = {"nice": 0.3, "bad": 0.4, "film": 0.2}
    text, asked = answered(attack.run(sample_of(attack, "a good movie"), Random(0)), {}, scores)
    assert text is None
    assert [str(t) for r in asked if isinstance(r, Score) for t in r.texts][-1] == "a bad film"


def test_textfooler_filters_by_part_of_speech_cosine_and_similarity(vectors: str) -> None:
    def tried(attack: TextFooler, cosines: dict[str, float]) -> set[str]:
        _, asked = answered(attack.run(sample_of(attack, "good"), Random(0)), cosines, {})
        return {str(text) for request in asked if isinstance(request, Score) for text in request.texts}

    assert tried(TextFooler(vectors=vectors), {}) == {"nice", "bad"}  # quickly is an adverb
    assert tried(TextFooler(vectors=vectors, min_cosine=0.98), {}) == {"nice"}
    assert tried(TextFooler(vectors=vectors, k=2), {}) == {"nice"}
    assert tried(TextFooler(vectors=vectors), {"bad": 0.5}) == {"nice"}
    assert tried(TextFooler(vectors=vectors, min_similarity=-1.0), {"bad": 0.5}) == {"nice", "bad"}


def test_textfooler_leaves_stop_words_alone_and_keeps_limits_of_the_threat(vectors: str) -> None:
    attack = TextFooler(threat=Threat(name="one", max_words_changed=1), vectors=vectors, min_similarity=-1.0)
    _, asked = answered(attack.run(sample_of(attack, STRING), Random(0)), {}, {"bad": 0.3, "awful": 0.2})
    texts = [str(text) for request in asked if isinstance(request, Score) for text in request.texts]
    assert texts
    assert not any(violations(attack.threat, STRING, text) for text in texts)
    assert all(text.split()[i] == STRING.split()[i] for text in texts for i in (1, 2, 5, 6))


@pytest.mark.parametrize("string", ["", "a", "xyzzy", "the of", "good"])
def test_both_on_tiny_texts(vectors: str, string: str) -> None:
    for attack in (TextFooler(vectors=vectors), A2T(vectors=vectors)):
        for budget in (0, 1, 2, None):
            drive(attack, sample_of(attack, string), Random(0), VICTIM, max_queries=budget)


def test_a2t_visits_words_by_gradient_with_one_gradient(vectors: str) -> None:
    attack = A2T(vectors=vectors)
    scores = {"movie": 0.5, "great": 0.7, "good": 0.6}
    _, asked = answered(attack.run(sample_of(attack, STRING), Random(0)), {}, scores)
    assert [type(request).__name__ for request in asked].count("Gradient") == 1
    assert isinstance(asked[0], Gradient)
    first = [str(request.texts[0]) for request in asked if isinstance(request, Score)]
    assert [next(w for w in words_of(t) if w not in STRING) for t in first] == ["awful", "nice", "film"]


def test_a2t_changes_few_words(vectors: str) -> None:
    string = " ".join(["good", "great", "movie"] * 4)

    def most(attack: A2T) -> int:
        steps, count = attack.run(sample_of(attack, string), Random(0)), 0
        answer: object = None
        while True:
            try:
                request = steps.send(answer)
            except StopIteration:
                return count
            if isinstance(request, Score):
                changed = [
                    sum(a != b for a, b in zip(text.words, string.split(), strict=True)) for text in request.texts
                ]
                count = max(count, *changed)
                answer = Scores([0.01 * c for c in changed], [False] * len(changed))
            elif isinstance(request, Encode):
                answer = np.ones((len(request.items), 1), np.float32)
            else:
                answer = [Gradients(1.0, np.ones((12, 4), np.float32), list(range(12)))]

    assert most(A2T(vectors=vectors)) == 4
    assert most(A2T(vectors=vectors, min_words=1)) == 1
    assert most(A2T(vectors=vectors, max_share=0.5)) == 6
    assert most(A2T(vectors=vectors, threat=replace(NEIGHBOURS, max_words_changed=2))) == 2


def test_a2t_fools_a_victim_that_counts_keywords(vectors: str) -> None:
    attack = A2T(vectors=vectors, min_similarity=0.0, min_cosine=0.5)
    driven = drive(attack, sample_of(attack, STRING), Random(0), VICTIM)
    assert VICTIM.predict([str(driven.text)])[0].argmax() == 0


def test_own_vectors_name_the_candidates_of_the_threat(vectors: str) -> None:
    for make in (TextFooler, A2T):
        assert make().threat.candidates == "neighbours"
        assert make(vectors=vectors).threat.candidates == f"vectors:{vectors}"
        own = Threat(name="mine", knowledge="gradient")
        assert make(threat=own, vectors=vectors).threat == own


@pytest.mark.parametrize(
    "selector",
    ["textfooler(k=0)", "textfooler(min_cosine=2)", "a2t(min_similarity=-3)", "a2t(max_share=2)", "a2t(min_words=-1)"],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


def test_a2t_wants_gradients() -> None:
    with pytest.raises(UsageError, match="knowledge='gradient'"):
        A2T(threat=Threat(name="scores"))


def test_missing_vectors_are_told_at_the_first_word(tmp_path: Path) -> None:
    attack = TextFooler(vectors=str(tmp_path / "none.txt"))
    with pytest.raises(UsageError, match="cannot read the word vectors"):
        drive(attack, sample_of(attack, "good"), Random(0), VICTIM)
