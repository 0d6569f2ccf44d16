"""One search space, any search: what the strategies promise against each other."""

from __future__ import annotations

from random import Random

import pytest

from robustbench_nlp.attacks.word_search import SEARCHES, WordSearch
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.threat import Threat, violations

VICTIM = KeywordVictim(keywords=(("picture", "show"), ("film", "great", "movie")))
STRING = "this film has a great story and a fine cast"


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_breaks_an_easy_victim_within_the_shared_threat(search: str) -> None:
    attack = WordSearch(search=search, threat=Threat(name="half", max_words_share=0.5))
    text, queries = drive(attack, sample_of(attack, STRING), Random(0), VICTIM)
    assert text is not None
    assert VICTIM.predict([str(text)])[0].argmax() == 0
    assert not violations(attack.threat, STRING, str(text))
    assert queries > 1


def test_the_order_by_importance_needs_no_more_changes_than_a_random_one() -> None:
    changes = {}
    for search in ("importance", "random_order"):
        attack = WordSearch(search=search, threat=Threat(name="half", max_words_share=0.5))
        texts = [drive(attack, sample_of(attack, STRING), Random(seed), VICTIM).text for seed in range(10)]
        changes[search] = sum(a != b for text in texts for a, b in zip(str(text).split(), STRING.split(), strict=True))
    assert changes["importance"] <= changes["random_order"]


def test_an_unknown_search_is_told() -> None:
    with pytest.raises(UsageError, match="did you mean 'greedy'"):
        WordSearch(search="gredy")
