"""What an attacker may change, spend and know; checkable from the two strings alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import floor
from typing import Any, Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.text import words_of

__all__ = ["DELETION", "Changes", "Threat", "align", "leaves_out", "measure", "other_limits", "violations"]

Knowledge = Literal["decision", "score", "gradient"]
Unit = Literal["char", "word", "sentence"]
KNOWLEDGE: tuple[Knowledge, ...] = ("decision", "score", "gradient")
DELETION = "deletion"
"""The candidates that the two strings tell: the original without some of its words, but not without all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Threat:
    """A named, versioned attacker: `name@version` stands in every caption and fingerprint.

    `max_words_changed` counts words and `max_words_share` is a fraction of the original's words in [0, 1], at least one of
    them (four words would else be safe from a fifth of theirs); `max_words_exchanged` counts the words that one of the two
    texts has more often, order and case aside, on the side that has more of them; `max_edits` is the Levenshtein distance of
    the whole text in code points, `max_edits_per_word` the same within each aligned pair of words. `max_queries` is the
    budget per example, the clean prediction included, of a random victim for each draw. `fields` names the input fields that may change; empty means the
    first one. `min_similarity` is the cosine of whole texts under `similarity_model`. `candidates` names the set that
    substitutes come from; of these, `DELETION` is a limit too.
    """

    name: str
    version: int = 1
    knowledge: Knowledge = "score"
    unit: Unit = "word"
    max_words_changed: int | None = None
    max_words_share: float | None = None
    max_words_exchanged: int | None = None
    max_edits: int | None = None
    max_edits_per_word: int | None = None
    max_queries: int | None = None
    fields: tuple[str, ...] = ()
    min_similarity: float | None = None
    similarity_model: str | None = None
    candidates: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def most_words(self, total: int) -> int | None:
        """How many words of a text of `total` words may change; None: any number."""
        share = None if self.max_words_share is None else max(1, floor(self.max_words_share * total + 1e-9))
        return min((most for most in (self.max_words_changed, share) if most is not None), default=None)


def other_limits(threat: Threat, values: Mapping[str, Any]) -> Threat:
    """The threat with other values, `{"max_words_share": 0.2}`; unless they name it anew, its name tells them.

    Raises `UsageError` for a field that threats don't have and for an attacker who would know more.
    """
    known = [field.name for field in fields(Threat)]
    for key in values:
        if key not in known:
            raise unknown("field of a threat", key, known)
    wanted = values.get("knowledge", threat.knowledge)
    if wanted not in KNOWLEDGE[: KNOWLEDGE.index(threat.knowledge) + 1]:
        raise UsageError(
            f"the knowledge of {threat} is {threat.knowledge} and can't be {wanted!r}; leave it or lower it"
        )
    told = ",".join(f"{key}={value}" for key, value in values.items())
    return replace(threat, **{"name": f"{threat.name}[{told}]", **values})


class Changes(NamedTuple):
    """How far a text lies from its original: words and characters, never negative."""

    words_changed: int
    words_total: int
    edits_chars: int


def measure(original: str, adversarial: str) -> Changes:
    """The word edit distance (unit costs), the original's number of words, and the Levenshtein distance in code points."""
    before, after = words_of(original), words_of(adversarial)
    return Changes(Levenshtein.distance(before, after), len(before), Levenshtein.distance(original, adversarial))


def align(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs (old word, new word) of the cheapest alignment; '' stands for an insertion or a deletion.

    Ties break left to right, substitution before deletion before insertion. When as many words differ position by
    position as the distance says, that diagonal is the answer under this rule and no table is built.
    """
    distance = Levenshtein.distance(before, after)
    if len(before) == len(after) and sum(a != b for a, b in zip(before, after, strict=True)) == distance:
        return [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    before, after = before[start:], after[start:]
    rows, columns = len(before), len(after)
    cost = [[0] * (columns + 1) for _ in range(rows + 1)]  # cost[i][j]: the distance of before[i:] and after[j:]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            if i == rows or j == columns:
                cost[i][j] = rows - i + columns - j
            else:
                swap = cost[i + 1][j + 1] + (before[i] != after[j])
                cost[i][j] = min(swap, cost[i + 1][j] + 1, cost[i][j + 1] + 1)
    pairs: list[tuple[str, str]] = []
    i = j = 0
    while i < rows or j < columns:
        here = cost[i][j]
        if i < rows and j < columns and here == cost[i + 1][j + 1] + (before[i] != after[j]):
            if before[i] != after[j]:
                pairs.append((before[i], after[j]))
            i, j = i + 1, j + 1
        elif i < rows and here == cost[i + 1][j] + 1:
            pairs.append((before[i], ""))
            i += 1
        else:
            pairs.append(("", after[j]))
            j += 1
    return pairs


def _exchanged(before: Sequence[str], after: Sequence[str]) -> int:
    """How many words are in one of two texts only, in whichever has more of them; order aside."""
    here, there = Counter(before), Counter(after)
    return max((here - there).total(), (there - here).total())


def leaves_out(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether the words after are those before, in order, with some left out and at least one left."""
    words = iter(before)
    return bool(after) and all(word in words for word in after)


def violations(threat: Threat, original: str, adversarial: str) -> list[str]:
    """What the text breaks of the threat's limits on edits, each in a phrase; empty when it is inside."""
    changes = measure(original, adversarial)
    broken = []
    if threat.candidates == DELETION and not leaves_out(words_of(original), words_of(adversarial)):
        broken.append("more than words left out, or no word left")
    most = threat.most_words(changes.words_total)
    if most is not None and changes.words_changed > most:
        broken.append(f"{changes.words_changed} of {changes.words_total} words changed, at most {most} allowed")
    if threat.max_words_exchanged is not None:
        exchanged = _exchanged(words_of(original.casefold()), words_of(adversarial.casefold()))
        if exchanged > threat.max_words_exchanged:
            broken.append(f"{exchanged} words exchanged, at most {threat.max_words_exchanged} allowed")
    if threat.max_edits is not None and changes.edits_chars > threat.max_edits:
        broken.append(f"{changes.edits_chars} characters edited, at most {threat.max_edits} allowed")
    if threat.max_edits_per_word is not None:
        for old, new in align(words_of(original), words_of(adversarial)):
            edits = Levenshtein.distance(old, new)
            if edits > threat.max_edits_per_word:
                broken.append(f"{old!r} became {new!r}: {edits} edits, at most {threat.max_edits_per_word} a word")
                break
    return broken
