"""The referee, by itself: what it credits, what it refuses and how it says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.referee import Referee, Verdict, similarities
from robustbench_nlp.tasks.classification import KEPT, MARGIN, UNTARGETED, Goal
from robustbench_nlp.threat import Threat

EXAMPLE = Example(fields={"text": "a good film"}, label=1)
ANYTHING = Threat(name="anything")


def referee(threat: Threat = ANYTHING, goal: Goal = UNTARGETED, encoder: object = None) -> Referee:
    return Referee(threat, Predictor(KeywordVictim()), encoder, goal)  # type: ignore[arg-type]


def share_of_good(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors whose cosine with "a good film" is 0.5 for texts without "good"."""
    return np.array([[1, 0] if "good" in text else [0.5, 0.75**0.5] for text in texts], dtype=np.float32)


def test_a_success_is_credited_with_output_and_margin() -> None:
    verdict = referee().judge(EXAMPLE, "text", "a bad film")
    assert (verdict.success, verdict.reason) == (True, "")
    assert verdict.output is not None
    assert verdict.output == pytest.approx([0.7311, 0.2689], abs=1e-4)
    assert verdict.margin == pytest.approx(-0.4621, abs=1e-4)


def test_what_fools_nobody_is_refused_with_output_and_margin() -> None:
    verdict = referee().judge(EXAMPLE, "text", "a fine film")
    assert (verdict.success, verdict.reason) == (False, "the victim, asked again alone, was not fooled")
    assert verdict.output is not None
    assert verdict.output == pytest.approx([0.2689, 0.7311], abs=1e-4)
    assert verdict.margin == pytest.approx(0.4621, abs=1e-4)


def test_a_tie_is_no_success() -> None:
    verdict = referee().judge(EXAMPLE, "text", "a film")
    assert not verdict.success
    assert verdict.margin == 0.0
    assert MARGIN > 0


def test_a_goal_that_keeps_the_answer_is_judged_by_it() -> None:
    assert referee(goal=KEPT).judge(EXAMPLE, "text", "good").reason == ""
    refused = referee(goal=KEPT).judge(EXAMPLE, "text", "bad")
    assert refused.reason == "the victim, asked again alone, changed its answer"


def test_the_threat_is_checked_first_and_nothing_is_predicted() -> None:
    strict = Threat(name="t", max_edits=1)
    assert referee(strict).judge(EXAMPLE, "text", "a bad film") == Verdict(
        "outside the threat: 3 characters edited, at most 1 allowed"
    )


@pytest.mark.parametrize(("least", "reason"), [(0.5, ""), (0.51, "outside the threat: similarity 0.500 is below 0.51")])
def test_similarity_is_a_limit_that_its_edge_keeps(least: float, reason: str) -> None:
    judge = referee(Threat(name="t", min_similarity=least), encoder=share_of_good)
    assert judge.judge(EXAMPLE, "text", "a bad film").reason == reason


def test_similarity_without_an_encoder_or_a_limit_is_no_limit() -> None:
    assert referee(Threat(name="t", min_similarity=0.9)).judge(EXAMPLE, "text", "a bad film").success
    assert referee(encoder=share_of_good).judge(EXAMPLE, "text", "a bad film").success
    assert similarities(share_of_good, ["a good film"], ["a bad film"]) == [0.5]


def test_pairs_are_encoded_together_and_where_that_fails_apart() -> None:
    asked: list[list[str]] = []

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.append(list(texts))
        if "broken" in texts:
            raise ValueError("no such word")
        return share_of_good(texts)

    before = ["a good film", "a bad film", "a good day"]
    assert similarities(encode, before, ["a bad film", "a bad day", "good"]) == [0.5, pytest.approx(1.0), 1.0]
    assert asked == [[*before, "a bad film", "a bad day", "good"]]
    first, second, third = similarities(encode, before, ["a bad film", "broken", "good"])
    assert (first, third) == (0.5, 1.0)
    assert isinstance(second, VictimError)
    assert str(second) == "the encoder raised ValueError: no such word"
    assert similarities(encode, [], []) == []
    for originals, changed in ((["good"], []), (["good"], ["good", "bad"])):
        with pytest.raises(ValueError, match=r"shorter|longer"):
            similarities(encode, originals, changed)
    assert [] not in asked
    with pytest.raises(VictimError, match="no such word"):
        referee(Threat(name="near", min_similarity=0.5), encoder=encode).judge(EXAMPLE, "text", "broken")

    def missing(texts: Sequence[str]) -> NDArray[np.float32]:
        raise UsageError("fetch it first")

    with pytest.raises(UsageError, match="fetch it first"):
        similarities(missing, before, before)


def test_only_the_named_field_is_changed() -> None:
    pair = Example(fields={"premise": "a good film", "hypothesis": "a good cast"}, label=1)
    verdict = referee(Threat(name="t", max_words_changed=1)).judge(pair, "hypothesis", "a bad cast")
    assert verdict.margin == 0.0  # one keyword of each class: the premise stands as it was
    assert referee().judge(pair, "premise", "bad and awful and dull").success
