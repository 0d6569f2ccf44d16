"""Several draws asked at once: the answers of one draw at a time, in fewer calls, and judged in full precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
import tiny_bert

from robustbench_nlp.averaging import Averaged
from robustbench_nlp.data.example import Input
from robustbench_nlp.defense import compose
from robustbench_nlp.drawing import by_draw, drawn
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.victim import Probabilities, Victim

DELETION = "random_deletion(rate=0.4,samples=2,votes=False,train=False)"
TEXTS = ["a good and great film", "a bad , dull and awful story", "", "a fine film that is a bad film"]


class Coarse:
    """Keywords whose search sees halves and whose referee sees all; `calls` holds what each call asked."""

    name, label_names, random, fingerprint = "coarse", ("negative", "positive"), False, "coarse"

    def __init__(self, *weights: tuple[str, ...]) -> None:
        self.inner = KeywordVictim(keywords=weights) if weights else KeywordVictim()
        self.calls: list[int] = []
        self.exactly = 0

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        self.calls.append(len(inputs))
        halves: Probabilities = (np.round(2 * self.inner.predict(inputs)) / 2).astype(np.float32)
        return halves

    def predict_exact(self, inputs: Sequence[Input]) -> Probabilities:
        self.exactly += len(inputs)
        return self.inner.predict(inputs)


def defended(selector: str, *members: Victim) -> Victim:
    victim: Victim = Averaged(members, in_turns=True) if len(members) > 1 else members[0]
    return compose(selector)(victim, [], Random(0))


@pytest.mark.parametrize(
    "selector",
    [
        DELETION,
        f"unicode_normalize+{DELETION}",
        f"{DELETION}+random_deletion(rate=0.2,samples=1,votes=False,train=False)",
        f"mask_purify(model='MODEL')+{DELETION}",
    ],
)
@pytest.mark.parametrize("members", [1, 3])
def test_each_input_is_answered_under_its_own_draw(selector: str, members: int, tmp_path: Path) -> None:
    selector = selector.replace("MODEL", str(tiny_bert.save(tmp_path / "masked", masked=True)))
    victim = defended(selector, *(KeywordVictim(keywords=(("bad",), ("good", word))) for word in "abc"[:members]))
    inputs, draws = [text for text in TEXTS for _ in range(5)], [*range(5)] * len(TEXTS)
    together = drawn(victim, inputs, draws)
    np.testing.assert_allclose(together, by_draw(victim.predict, inputs, draws), atol=1e-6)
    assert len({row.tobytes() for row in together[:5]}) > 1


def test_a_members_copies_of_all_draws_go_together() -> None:
    members = [Coarse(("bad",), (word,)) for word in ("good", "great", "fine")]
    victim = defended(f"unicode_normalize+{DELETION}", *members)
    Predictor(victim, draws=20).predict(TEXTS)
    assert [len(member.calls) for member in members] == [1, 1, 1]


def test_a_random_victim_is_judged_in_full_precision_under_fresh_draws() -> None:
    inner = Coarse()
    predictor = Predictor(defended(DELETION, inner), draws=20)
    shares = predictor.exact(TEXTS[0])
    assert (inner.calls, inner.exactly > 0) == ([], True)
    np.testing.assert_allclose(shares.sum(), 1)
    searched = Predictor(defended(DELETION, inner), draws=20).predict(TEXTS).outputs
    assert searched.shape == (4, 2)
    assert inner.calls


def test_a_victim_that_knows_single_draws_alone_is_asked_draw_by_draw() -> None:
    asked: list[tuple[int, int]] = []

    class Dice(KeywordVictim):
        def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
            asked.append((len(inputs), draw))
            return np.array([[0.25, 0.75] if draw % 2 else [0.5, 0.5]] * len(inputs), np.float32)

    outputs = Predictor(Dice(random=True), draws=4).predict(TEXTS).outputs
    assert asked == [(4, draw) for draw in range(4)]
    np.testing.assert_allclose(outputs, np.tile([0.375, 0.625], (4, 1)))


def test_too_many_answers_to_a_draw_are_an_error_of_the_input() -> None:
    class Generous(KeywordVictim):
        def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
            return np.full((len(inputs) + (draw == 1), 2), 0.5, np.float32)

    answers = Predictor(Generous(random=True), draws=3).predict(TEXTS)
    assert set(answers.errors) == {0, 1, 2, 3}
    assert "returned shape (2, 2); (1, classes) is wanted" in str(answers.errors[0])


def test_an_inputs_draws_go_one_by_one_where_the_memory_is_too_small_for_all() -> None:
    class Tight(KeywordVictim):
        def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
            if len(inputs) > 4:
                raise MemoryError
            return super().predict(inputs)

    victim = compose("random_deletion(rate=0.4,samples=3,votes=False,train=False)")(Tight(), [], Random(0))
    roomy = compose("random_deletion(rate=0.4,samples=3,votes=False,train=False)")(KeywordVictim(), [], Random(0))
    long = ["a good film and a bad film with a great and awful story " * 3]
    predictor = Predictor(victim, draws=20)
    np.testing.assert_allclose(
        predictor.predict(long * 2).outputs, Predictor(roomy, draws=20).predict(long * 2).outputs
    )
    np.testing.assert_allclose(predictor.exact(long[0]), Predictor(roomy, draws=20).exact(long[0]))


def test_texts_and_draws_of_a_call_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_nlp.predictor.TOGETHER", 40)
    inner = Coarse()
    Predictor(defended(DELETION, inner), draws=20).predict(TEXTS)
    assert len(inner.calls) == 2
