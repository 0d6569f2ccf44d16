"""Sentences with their parts in another order, which say the same: rules over the surface of English text.

A rule applies where the words around it leave one reading, so most sentences that could be reordered are left alone: a
tenth of the texts of MR have a move, four tenths of those of IMDB. Words stay what they are, but for a connective ("A, but
B" and "although A, B") and "a" before a vowel. One reader found grammar and meaning kept in 58 of 60 moves drawn from MR's
test and dev splits, and in 85 % or more of 20 moves (all there were, where fewer) that each rule for clauses made on IMDB;
the rules were mended while reading, on samples that overlap with these, so the shares are optimistic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import regex

from robustbench_nlp.constraints.meaning import parts_of_speech
from robustbench_nlp.edits.clauses import (
    BE,
    DETERMINERS,
    FINITE,
    LINKS,
    SUBJECTS,
    USUAL,
    is_clause,
    pointers,
    small_words,
    stem,
)
from robustbench_nlp.edits.word_pairs import swapped_pairs
from robustbench_nlp.lexicon.clauses import clause_words
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.sentences import sentence_pieces
from robustbench_nlp.text import Text, words_of

__all__ = ["RULES", "reordered", "reorderings"]

_CONTRASTS = clause_words("contrast")
_CONDITIONS = clause_words("condition")
_OPENINGS = clause_words("opening")
_REMARKS = clause_words("remark")
_FOCUS = frozenset(("only", "just", "first", "except", "even", "like", "especially"))
"""A clause that follows may be what these words pick out."""
_LONGEST = 12
"""Words of a clause behind which a remark can stand."""
_CLOSED = regex.compile(r"[\"“”()\[\];:?]|--|—|–|\.\s*\.|(?<!\w)['`‘’]|['`‘’](?!\w)|[\n<]|\s-\s|^\d")
"""Quotes, brackets, dashes: no rule for clauses applies."""
_TAIL_MARKS = regex.compile(r"[\s.!?…]*$")


def _any(phrases: Iterable[str]) -> str:
    return "|".join(sorted(map(regex.escape, phrases), key=lambda phrase: (-len(phrase), phrase)))


# Patterns of the rules, which regex compiles when the first sentence asks and keeps: who lists attacks needs none of them.
_SUBORDINATE = rf"(?P<link>{_any(_CONTRASTS | _CONDITIONS)})"
_FRONT = rf"(?P<link>{_any(_CONTRASTS | _CONDITIONS | _OPENINGS)}) (?P<sub>[^,]+?)(?P<comma> ?, )(?P<main>[^,]+)"
_TAIL = rf"(?P<main>[^,]+?)(?P<comma> ?,)? {_SUBORDINATE} (?P<sub>[^,]+)"
_BUT = r"(?P<one>[^,]+?)(?P<comma> ?, )but (?P<two>.+)"
_ALTHOUGH = r"(?:although|though|while) (?P<one>[^,]+?)(?P<comma> ?, )(?P<two>[^,]+)"
_AND = r"(?P<one>[^,]+?)(?P<link>(?: ?,)? and )(?P<two>[^,]+)"
_ANY_REMARK = rf"(?P<remark>{_any(clause_words('remark', 'opening remark'))})"
_REMARK_FIRST = rf"(?P<remark>{_any(_REMARKS)})(?P<comma> ?, )(?P<main>[^,]+)"
_REMARK_LAST = rf"(?P<main>[^,]+?)(?P<comma> ?, ){_ANY_REMARK}"
_REMARK_INSIDE = rf"(?P<left>[^,]+?)(?P<comma> ?, ){_ANY_REMARK} ?, (?P<right>[^,]+)"


def trailed(body: str, comma: str) -> Iterator[str]:
    """When A, B: B when A. Where B doesn't point back to A."""
    if (match := regex.fullmatch(_FRONT, body)) and is_clause(match["main"]):
        if pointers(match["main"]) or LINKS & set(small_words(match["main"])):
            return
        if match["link"] in _OPENINGS or is_clause(match["sub"]):
            before = "" if match["link"] in _CONDITIONS else match["comma"].rstrip()
            yield f"{match['main']}{before} {match['link']} {match['sub']}"


def fronted(body: str, comma: str) -> Iterator[str]:
    """B when A: when A, B. Where A belongs to all of B, and points back to nothing but B's own pronoun."""
    if (match := regex.fullmatch(_TAIL, body)) and is_clause(match["sub"]) and is_clause(match["main"]):
        main, sub = small_words(match["main"]), small_words(match["sub"])
        governed = main[-1] in FINITE | USUAL or clause_words("governor") & {main[-1]} or _FOCUS & set(main)
        if governed or LINKS & set(main) or match["link"] in sub:
            return
        if pointers(match["sub"]) <= {stem(main[0])}:
            yield f"{match['link']} {match['sub']}{match['comma'] or comma} {match['main']}"


def although(body: str, comma: str) -> Iterator[str]:
    """A, but B: although A, B."""
    if (match := regex.fullmatch(_BUT, body)) and is_clause(match["one"]) and is_clause(match["two"]):
        one, two = small_words(match["one"]), small_words(match["two"])
        polite = "sorry" in one[:4] or one[:3] == ["i", "don't", "know"]
        if "but" not in two and not polite and not {"not", "only"} <= set(one):
            yield f"although {match['one']}{match['comma']}{match['two']}"


def but(body: str, comma: str) -> Iterator[str]:
    """Although A, B: A, but B."""
    if (match := regex.fullmatch(_ALTHOUGH, body)) and is_clause(match["one"]) and is_clause(match["two"]):
        in_time = body.startswith("while") and any(word.endswith("ing") for word in small_words(match["one"]))
        if not in_time:
            yield f"{match['one']}{match['comma']}but {match['two']}"


def remark(body: str, comma: str) -> Iterator[str]:
    """A remark on the whole sentence moves to its other end, or from its middle to its head."""
    if (match := regex.fullmatch(_REMARK_FIRST, body)) and is_clause(match["main"]):
        words = small_words(match["main"])
        if len(words) <= _LONGEST and not LINKS & set(words):
            yield f"{match['main']}{match['comma']}{match['remark']}"
    if (match := regex.fullmatch(_REMARK_LAST, body)) and is_clause(match["main"]):
        yield f"{match['remark']}{match['comma']}{match['main']}"
    if (match := regex.fullmatch(_REMARK_INSIDE, body)) and is_clause(f"{match['left']} {match['right']}"):
        left = small_words(match["left"])
        if LINKS & set(left) or (is_clause(match["left"]) and left[-1] not in FINITE):
            return
        yield f"{match['remark']}{match['comma']}{match['left']} {match['right']}"


def states(body: str, comma: str) -> Iterator[str]:
    """A is so and B is so: B is so and A is so. What happens one after the other stays so."""
    if (match := regex.fullmatch(_AND, body)) and is_clause(match["one"]) and is_clause(match["two"]):
        one, two = (set(small_words(match[half])) for half in ("one", "two"))
        if BE & one and BE & two and not LINKS & (one | two) and "even" not in two and not pointers(match["two"]):
            yield match["two"] + match["link"] + match["one"]


RULES: tuple[Callable[[str, str], Iterator[str]], ...] = (trailed, fronted, although, but, remark, states)


def reordered(sentence: str) -> Iterator[str]:
    """One sentence, reordered once by each rule that applies. Its first word is a capital one if it was, and the end stays."""
    end = _TAIL_MARKS.search(sentence)
    assert end is not None
    body, capital = sentence[: end.start()], sentence[:1].isupper()
    first, known = _first_word(body)
    if known:
        body = first + body[len(first) :]
    made = [swapped_pairs(body)]
    if known and "?" not in end.group() and not _CLOSED.search(body):
        comma = " ," if end.group()[:1].isspace() else ","
        made += [rule(body, comma) for rule in RULES]
    for new in chain.from_iterable(made):
        if known or new.startswith(first):
            yield (new[0].upper() + new[1:] if capital else new) + end.group()


def _first_word(body: str) -> tuple[str, bool]:
    """The first word as it is written inside a sentence, and whether that is known: nouns with a capital may be names."""
    first = next(iter(words_of(body)), "")
    small = first.lower()
    if not body.startswith(first):
        return "", True
    if not first[:1].isupper() or small == "i" or small[:2] in ("i'", "i’"):
        return first, True
    if stem(small) in SUBJECTS | DETERMINERS | LINKS | stopwords():
        return small, True
    parts = parts_of_speech(stem(small))
    if not parts:  # a name
        return first, True
    return (first, False) if "n" in parts or first[1:] != small[1:] else (small, True)


def reorderings(text: Text) -> list[Text]:
    """Every text that differs by one reordering of one sentence."""
    pieces = sentence_pieces(text)
    made = (
        "".join([*pieces[:at], new, *pieces[at + 1 :]])
        for at in range(1, len(pieces), 2)
        for new in reordered(pieces[at])
    )
    return [Text(string) for string in dict.fromkeys(made) if string != str(text)]
