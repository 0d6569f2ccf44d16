"""Several draws asked at once: the answers of one draw at a time, in fewer calls, and judged in full precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
import tiny_bert

from robustbench_nlp.averaging import Averaged
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import compose
from robustbench_nlp.drawing import by_draw, drawn
from robustbench_nlp.engine import Engine
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.predictor import FRESH, Predictor
from robustbench_nlp.records import Record
from robustbench_nlp.smoothing import Smoothed
from robustbench_nlp.victim import Probabilities, TokenGradients, Victim

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


class Moody(KeywordVictim):
    """Right about what `wrong` doesn't say of a text and a draw."""

    def wrong(self, text: str, draw: int) -> bool:
        raise NotImplementedError

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        return np.array([[0.9, 0.1] if self.wrong(str(item), draw) else [0.1, 0.9] for item in inputs], np.float32)


def attacked(victim: Victim) -> Record:
    """The record of a good film under typos."""
    example = Example(fields={"text": TEXTS[0]}, label=1)
    (record,) = Engine(create("attack", "deepwordbug"), victim, draws=20, max_queries=2_000).run([example])
    return record


def test_luck_in_the_draws_of_the_search_is_no_success() -> None:
    class Lucky(Moody):
        def wrong(self, text: str, draw: int) -> bool:
            return text != TEXTS[0] and draw < FRESH

    record = attacked(Lucky(random=True))
    assert (record.outcome, record.rejected_successes > 0) == ("failed", True)


def test_a_victim_that_fresh_draws_find_wrong_without_an_attack_was_never_right() -> None:
    class Flattered(Moody):
        def wrong(self, text: str, draw: int) -> bool:
            return draw >= FRESH

    record = attacked(Flattered(random=True))
    assert (record.outcome, record.clean_prediction, record.clean_right) == ("skipped", 0, False)


@pytest.mark.parametrize("draws", [1, 9])
def test_a_search_is_shown_what_votes_hide_and_the_referee_counts_them(draws: int) -> None:
    how = "random_deletion(rate=0.4,samples=3,votes={},train=False)"
    votes, means = (defended(how.format(voted), KeywordVictim()) for voted in (True, False))
    seen, shown = (Predictor(victim, draws=draws).predict(TEXTS).outputs for victim in (votes, means))
    np.testing.assert_array_equal(seen, shown)
    asked = TEXTS[1:2] * draws
    counted = drawn(votes, asked, range(draws), exact=True)
    np.testing.assert_allclose(counted * 3, np.round(counted * 3), atol=1e-5)
    np.testing.assert_array_equal(counted, by_draw(votes.predict, asked, range(draws)))


def test_votes_of_two_classes_never_tie() -> None:
    class Torn(Moody):
        def wrong(self, text: str, draw: int) -> bool:
            return bool(draw % 2)

    shares = Predictor(Torn(random=True), draws=20).exact(TEXTS[0])
    np.testing.assert_allclose(sorted(shares), [10 / 21, 11 / 21], rtol=1e-6)


@pytest.mark.parametrize(
    ("defense", "other"),
    [
        ("random_deletion(rate=0.7,samples=1,votes=False,train=False)", "a good and dreary film with a great story"),
        ("ranmask(rate=0.7,samples=1,votes=False,train=False,mask='x')", "a good and dreary film with a great story"),
        ("safer(samples=1,votes=False,train=False)", "a good and superb film with a great story"),
    ],
)
def test_texts_that_differ_in_a_word_meet_the_same_chance(defense: str, other: str) -> None:
    """The copies differ in that word alone, or not at all where it is hidden: as often as the noise hides it."""
    text = "a good and wonderful film with a great story"
    victim = defended(defense, KeywordVictim())
    assert isinstance(victim, Smoothed)
    same = 0
    for draw in range(200):
        first, second = (str(victim._copies(item, victim._seeds(1, draw))[0]).split() for item in (text, other))
        gone = [word for word in first if word not in second]
        assert len(gone) <= 1
        same += first == second
    least, most = (120, 160) if "safer" not in defense else (185, 200)
    assert least <= same <= most
    assert len({victim._copies(text, victim._seeds(1, draw))[0] for draw in range(200)}) > 50


def test_each_copy_of_an_outer_smoothing_has_an_inner_draw_of_its_own() -> None:
    """What the inner one hides is told by its places; with one chance for all copies it would hide the same ones five times."""
    asked: list[Input] = []
    traced: list[Input] = []

    class Listening(KeywordVictim):
        def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
            asked.extend(inputs)
            return super().predict(inputs)

        def gradients(self, inputs: Sequence[Input], labels: Sequence[int]) -> list[TokenGradients]:
            traced.extend(inputs)
            return [TokenGradients(0.0, np.zeros((0, 2), np.float32), [], []) for _ in inputs]

    inner = "random_deletion(rate=0.5,samples=1,votes=False,train=False)"
    victim = defended(f"random_deletion(rate=0.0,samples=5,votes=False,train=False)+{inner}", Listening())
    text = ["one two three four five six seven eight nine ten eleven twelve"]
    victim.predict(text, 3)
    assert len(set(asked)) == 5
    victim.gradients(text, [1], draw=3)  # type: ignore[attr-defined]
    assert set(traced) == set(asked), "the gradient is that of what the search sees"
