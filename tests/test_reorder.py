"""Reorderings: what each rule moves, what it leaves alone, and the attack that searches among them."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import ANY_TEXT, complaint

from robustbench_nlp.attack import Score, Scores
from robustbench_nlp.attacks.reorder import REORDERED, Reorder
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.clauses import is_clause, pointers
from robustbench_nlp.edits.reorderings import reordered, reorderings
from robustbench_nlp.fakes import drive, sample_of
from robustbench_nlp.lexicon.clauses import clause_words
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import Threat, violations

MOVES = [
    # a clause or phrase from the head to the end, and back
    ("When the lights are out , you feel at home .", ["You feel at home when the lights are out ."]),
    ("despite its length, the film is dull.", ["the film is dull, despite its length."]),
    (
        "Although the cast is fine, the plot is thin!",
        ["The plot is thin, although the cast is fine!", "The cast is fine, but the plot is thin!"],
    ),
    ("The plot was thin because the writers were tired .", ["Because the writers were tired , the plot was thin ."]),
    ("It's lurid when it isn't silly.", ["When it isn't silly, it's lurid."]),
    # a contrast
    ("It's not subtle , but it works .", ["Although it's not subtle , it works ."]),
    ("while the plot is thin, it works.", ["the plot is thin, but it works."]),
    # a remark
    ("Unfortunately, it's too long.", ["It's too long, unfortunately."]),
    ("Kinnear is, as usual, brilliant.", ["As usual, Kinnear is brilliant."]),
    ("it's too long , in fact", ["in fact , it's too long"]),
    # two states
    ("The acting is stilted and the plot is thin.", ["The plot is thin and the acting is stilted."]),
    # two words
    ("a sad , funny film", ["a funny , sad film"]),
    ("An edgy and witty film?", ["A witty and edgy film?"]),
    ("it is witty and sad .", ["it is sad and witty ."]),
    ("full of wit and poetry .", ["full of poetry and wit ."]),
    ("Warmly and wisely told", ["Wisely and warmly told"]),
    ("a « taut and witty » film", []),
]
LEFT_ALONE = [
    "",
    " . ",
    "When the film ends, it stays with you.",  # "it" would stand before "the film"
    "The problem is when the film ends.",
    "I only laughed when the film ended.",
    "This isn't because the film is long or because it is dull.",
    "It isn't that he fails, but that he tries.",
    "I'm sorry, but this is dull.",
    "It's not only dull , but it is long .",
    "a very sad and witty film",  # "very" goes with "sad"
    "a most sad and most witty film",
    "it's about life and death .",
    "the silence of the wolves and mozart",
    "tired and afraid of dogs",  # "of dogs" goes with "afraid"
    "Is it sad, but you laughed?",
    'he said "it\'s dull, but it works"',
    "the 3rd or 4th film",
    "While he is falling, she is singing.",  # in time, not a contrast
    "He starts slow, however, making a fool of her.",
]


@pytest.mark.parametrize(("sentence", "expected"), MOVES)
def test_moves(sentence: str, expected: list[str]) -> None:
    assert set(reordered(sentence)) == set(expected)


@pytest.mark.parametrize("sentence", LEFT_ALONE)
def test_what_is_left_alone(sentence: str) -> None:
    assert list(reordered(sentence)) == []


def test_capitals_of_names_stay_and_doubtful_ones_stop_the_move() -> None:
    assert list(reordered("Zorbax is thin, but it works.")) == ["Although Zorbax is thin, it works."]
    assert list(reordered("Actors are fine, but it drags.")) == []  # or a name
    assert list(reordered("I laugh, but I am bored.")) == ["Although I laugh, I am bored."]


def test_texts_change_in_one_sentence() -> None:
    text = Text("It's sad , but it works . See it ! A dull , dreary mess .")
    assert [str(new) for new in reorderings(text)] == [
        "Although it's sad , it works . See it ! A dull , dreary mess .",
        "It's sad , but it works . See it ! A dreary , dull mess .",
    ]
    assert [str(new) for new in reorderings(Text(str(text), 20))] == []  # no sentence is read to its end


@pytest.mark.parametrize(
    ("string", "clause"),
    [
        ("the film works", True),
        ("it's dull", True),
        ("kinnear gives a performance", True),
        ("wraps itself in a guise", False),
        ("the film that is good", False),
        ("not every plot is thin", False),
        ("", False),
        ("dull", False),
    ],
)
def test_clauses(string: str, clause: bool) -> None:
    assert is_clause(string) == clause


def test_pointers() -> None:
    assert pointers("It’s about them") == {"it", "them"}
    assert pointers("the film is long") == set()
    with pytest.raises(KeyError):
        clause_words("none")


WORDS = st.sampled_from(
    [
        *[
            "When",
            "if",
            "although",
            "but",
            "and",
            "or",
            ",",
            ".",
            "!",
            "?",
            "it's",
            "It",
            "the",
            "film",
            "is",
            "was",
            "sad",
            "witty",
            "charm",
            "it",
            "he",
            "in",
            "fact",
            "unfortunately",
        ],
        "\ud800",
        "\n",
    ]
)


@given(st.lists(WORDS, max_size=14).map(" ".join) | ANY_TEXT)
def test_words_and_ends_are_kept(string: str) -> None:
    text = Text(string)
    for new in reorderings(text):
        assert len(str(new)) <= len(string) + len("although")
        gone = Counter(words_of(string.casefold())) - Counter(words_of(str(new).casefold()))
        assert set(gone) <= {"but", "although", "though", "while", "a", "an"}
        assert gone.total() <= 1
        assert not violations(REORDERED, string, str(new))


# the threat


@pytest.mark.parametrize(
    ("adversarial", "exchanged"),
    [
        ("a witty and sad film", 0),
        ("A SAD, witty film", 1),
        ("sad film", 3),
        ("a sad and witty film of wit", 2),
        ("", 5),
    ],
)
def test_words_exchanged(adversarial: str, exchanged: int) -> None:
    original = "a sad and witty film"
    for most in range(6):
        threat = Threat(name="test", max_words_exchanged=most)
        assert bool(violations(threat, original, adversarial)) == (exchanged > most)
        assert bool(inside(threat, original, [Text(adversarial)])) == (exchanged <= most and adversarial != original)


# the attack


def tried(selector: str, string: str, gain: float) -> list[list[str]]:
    """What each request asks when the first text of each scores `gain` more than all before."""
    attack = create("attack", selector)
    steps, answer, found, level = attack.run(sample_of(attack, string), Random(0)), None, list[list[str]](), 0.0
    while True:
        try:
            request = steps.send(answer)
        except StopIteration:
            return found
        assert isinstance(request, Score)
        found.append([str(text) for text in request.texts])
        level += gain
        answer = Scores([level] + [0.0] * (len(request.texts) - 1), [False] * len(request.texts))


def test_moves_add_up_and_no_text_is_asked_twice() -> None:
    string = "It's sad , but it works . A dull , dreary mess ."
    first, second = tried("reorder", string, 0.1)
    assert first == [
        "Although it's sad , it works . A dull , dreary mess .",
        "It's sad , but it works . A dreary , dull mess .",
    ]
    assert second == ["Although it's sad , it works . A dreary , dull mess ."]
    assert tried("reorder(max_moves=1)", string, 0.1) == [first]
    assert tried("reorder", string, 0.0) == [first]
    assert tried("reorder(threat={'max_words_exchanged': 0})", string, 0.0) == [first[1:]]


class Order:
    """A victim that reads the first word only."""

    name = "order"
    label_names = ("negative", "positive")
    random = False
    fingerprint = "order"

    def predict(self, inputs: list[str], draw: int = 0) -> list[list[float]]:
        import numpy as np

        return np.array([[1.0, 0.0] if text.startswith("Although") else [0.1, 0.9] for text in inputs], np.float32)


def test_it_fools_a_victim_that_minds_the_order() -> None:
    attack = Reorder()
    text, queries = drive(attack, sample_of(attack, "It's sad, but it works."), Random(0), Order())
    assert (str(text), queries) == ("Although it's sad, it works.", 2)


def test_bad_settings_are_told_in_one_line() -> None:
    assert "max_moves" in complaint(lambda: create("attack", "reorder(max_moves=0)"))
