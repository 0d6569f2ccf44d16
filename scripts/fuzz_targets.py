"""What is fuzzed: each target takes any bytes, and must neither raise anything but `UsageError` nor break what it promises.

`make fuzz` drives them with atheris, by coverage; tests/test_fuzz.py with hypothesis, and with every input that once broke one.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import fuzz_reports
from fuzz_given import HEADER, TARGETS, Given, target

from robustbench_nlp.archives import extracted, gunzipped
from robustbench_nlp.data.sources import csv as csv_source
from robustbench_nlp.data.sources import jsonl as jsonl_source
from robustbench_nlp.edits import characters, noise
from robustbench_nlp.edits.reorderings import reorderings
from robustbench_nlp.edits.visual import accented, homoglyphs
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Benchmark
from robustbench_nlp.leaderboard.entry import read_entry
from robustbench_nlp.leaderboard.texts import applied, edits, unpacked
from robustbench_nlp.plugins import parse, split_list
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.records import _line, read
from robustbench_nlp.report import sheet, shown
from robustbench_nlp.report.files import tabled
from robustbench_nlp.settings_file import plain_yaml
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, align, measure, violations

__all__ = ["SEEDS", "SHARES", "TARGETS", "Given"]


@cache
def _folder() -> Path:
    """Where files are written, in memory where the system has such a place."""
    shared = Path("/dev/shm")
    made = tempfile.mkdtemp(prefix="fuzz-", dir=shared if os.access(shared, os.W_OK) else None)
    return Path(made)


def _file(name: str, content: bytes) -> str:
    path = _folder() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path)


def _edited(given: Given, text: Text) -> Text:
    """The text with one of its words replaced, left out, or another put before it."""
    place, kind = given.number(len(text)), given.number(3)
    word = given.text(8)
    if not len(text):
        return text.insert(0, word)
    if kind == 0:
        made = text.swap(place, word)
        assert [w for i, w in enumerate(made.words) if i != place] == [
            w for i, w in enumerate(text.words) if i != place
        ]
        return made
    return text.delete(place) if kind == 1 else text.insert(place, word)


@target
def text_model(given: Given) -> None:
    """A text is its string, words keep their slots, and edits touch nothing else."""
    times = given.number(4)
    string = given.text()
    text = Text(string)
    assert str(text) == string
    assert [string[start:end] for start, end in text.spans] == text.words
    assert all(text.words)
    assert text.replace({}) == text
    for _ in range(times):
        before, text = text, _edited(given, text)
        assert len(text) == len(before)
        assert [str(text)[start:end] for start, end in text.spans] == text.words


@target
def threats(given: Given) -> None:
    """What two strings differ in is counted alike from both sides, and nothing breaks a threat without limits."""
    one, other = given.text(60), given.text(60)
    if given.number(2):
        other = str(_edited(given, Text(one)))
    changes = measure(one, other)
    assert (changes.words_changed == changes.edits_chars == 0) if one == other else changes.edits_chars > 0
    assert measure(other, one).edits_chars == changes.edits_chars
    assert len(align(Text(one).words, Text(other).words)) == changes.words_changed
    assert not violations(Threat(name="any"), one, other)
    limit = Threat(name="few", max_words_changed=1, max_edits=2, max_edits_per_word=1)
    assert bool(violations(limit, one, other)) >= (changes.edits_chars > 2)
    assert applied(one, edits(one, other)) == other


MAKERS: dict[str, Callable[[str, Random], str]] = {
    function.__name__: function
    for function in (
        *(characters.swap, characters.substitute, characters.delete, characters.insert, characters.keyboard),
        *(characters.ocr, characters.one_typo, noise.repeat),
    )
}


@target
def edits_of_words(given: Given) -> None:
    """Typos of any word are strings, the same for the same seed, and few edits away."""
    rng, kind = given.number(256), sorted(MAKERS)[given.number(len(MAKERS))]
    word = given.text(40)
    made = MAKERS[kind](word, Random(rng))
    assert made == MAKERS[kind](word, Random(rng))
    assert isinstance(made, str)
    characters.internal_edits(word, Random(rng))
    characters.one_of_each(word, Random(rng))
    for letter in word[:4]:
        assert isinstance(homoglyphs(letter), str)
        assert isinstance(accented(letter), str)


@target
def edits_of_texts(given: Given) -> None:
    """Noise and reorderings of any text are texts, the same for the same seed."""
    kinds = ("punctuation", "whitespace", "drop_words", "repeat_words", "swap_words")
    rng, kind, share = given.number(256), kinds[given.number(len(kinds))], given.number(11) / 10
    text = Text(given.text())
    make = getattr(noise, kind)
    assert str(make(text, Random(rng), share)) == str(make(text, Random(rng), share))
    str(characters.random_typos(text, Random(rng), share))
    assert all(isinstance(str(made), str) for made in reorderings(text))


@target
def csv_reader(given: Given) -> None:
    """Any file is a data set or told."""
    delimiter = ",;\t|"[given.number(4)]
    with suppress(UsageError):
        found = csv_source.load(_file("data.csv", given.rest()), "test", delimiter=delimiter)
        assert found.examples
        assert found.fingerprint == found.fingerprint


@target
def jsonl_reader(given: Given) -> None:
    """Any file is a data set or told."""
    with suppress(UsageError):
        found = jsonl_source.load(_file("data.jsonl", given.rest()), "test")
        assert all(isinstance(value, str) for example in found.examples for value in example.fields.values())
        assert found.fingerprint


@target
def yaml_reader(given: Given) -> None:
    """Any text is the settings of a run or told."""
    with suppress(UsageError):
        Benchmark.of(plain_yaml(given.rest().decode("utf-8", "replace"), "a file"))


@target
def selectors(given: Given) -> None:
    """Any text is a selector or told."""
    text = given.text(400)
    for item in split_list(text):
        with suppress(UsageError):
            found = parse(item)
            assert found.name


@target
def records_reader(given: Given) -> None:
    """Any bytes are a cell or told."""
    with suppress(UsageError):
        read(Path(_file("cell.jsonl", given.rest())))


def _value(given: Given) -> Any:
    simple: list[Any] = [None, True, 0, -1, 1, 10**30, 0.5, float("nan"), float("inf"), "", [], {}, ["a"], {"a": 1}]
    kind = given.number(len(simple) + 3)
    return simple[kind] if kind < len(simple) else given.text(20)


def _changed(given: Given, content: dict[str, Any]) -> dict[str, Any]:
    """A line's content with some values changed, left out or added."""
    made = dict(content)
    for _ in range(given.number(4)):
        name = sorted(made)[given.number(len(made))] if made else "x"
        if given.number(4) == 0:
            made.pop(name, None)
        else:
            made[name] = _value(given)
    return made


RECORD = {
    "schema": 1,
    "example_id": "1",
    "label": 0,
    "original": "a good film",
    "adversarial": "a bad film",
    "clean_output": [0.9, 0.1],
    "adversarial_output": [0.1, 0.9],
    "clean_prediction": 0,
    "adversarial_prediction": 1,
    "outcome": "success",
    "winner": "pwws",
    "error": None,
    "queries": 3,
    "forwards": 3,
    "helper_calls": 0,
    "first_success_query": 3,
    "margin": -0.8,
    "words_changed": 1,
    "words_total": 3,
    "edits_chars": 4,
    "similarity": 0.9,
    "truncated": False,
    "rejected_successes": 0,
    "seconds": 0.1,
    "seed": 0,
}
RUN = "task: classification\ndataset: mr\nvictim: v\ndefenses: [none]\nattacks: [pwws]\n"


@target
def run_folders(given: Given) -> None:
    """A run folder whose lines have sound checksums and any content is read, and its table made, or it is told."""
    whole = given.number(16) == 1
    lines = [_changed(given, HEADER), *(_changed(given, {**RECORD, "example_id": str(i)}) for i in range(2))]
    _file("run/records.jsonl", b"")
    records = _folder() / "run" / "records"
    records.mkdir(exist_ok=True)
    (records / "cell.jsonl").write_bytes(b"".join(_line(line) for line in lines))
    _file("run/run.yaml", RUN.encode())
    with suppress(UsageError):
        cells = recorded_cells(_folder() / "run")
        sheet.sheet(cells)
        if whole and cells:
            _file("run/manifest.json", given.text(40).encode("utf-8", "replace") or b"{}")
            _file("run/table.csv", given.rest() or b"defense,attack\nnone,pwws\n")
            shown.markdown(tabled(_folder() / "run")[0])


ENTRY_LINE = {"member": "pwws", "id": "1", "label": 0, "outcome": "success", "edits": [[0, 0, 1, "b"]]}


@target
def entries_reader(given: Given) -> None:
    """Any bytes are an entry, and any lines its texts, or they are told."""
    if given.number(2):
        with suppress(UsageError):
            read_entry(Path(_file("entry.json", given.rest())))
        return
    header = {"member": "pwws", "header": _changed(given, HEADER)}
    lines = [header, *(_changed(given, ENTRY_LINE) for _ in range(2))]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode() + given.rest()
    with suppress(UsageError):
        unpacked(content, {}, 0)


@target
def archives_reader(given: Given) -> None:
    """Any bytes are unpacked inside their folder, or told."""
    kind, content = given.number(2), given.rest()
    with suppress(UsageError):
        if kind:
            extracted(Path(_file("a.zip", content)), _folder() / "out", "in/", most=1 << 16)
        else:
            assert len(gunzipped(Path(_file("a.gz", content)), most=1 << 16)) <= 1 << 16


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/good.txt", b"good" * 9)
    return made.getvalue()


SEEDS: dict[str, tuple[bytes, ...]] = {
    **fuzz_reports.SEEDS,
    "text_model": (b"It's a well-made film .", "e\u0301t\u00e9 \u0939\u093f\u0928 \u5f88\u597d".encode()),
    "threats": (b"the film is good", b"the film is good" + b" " * 44 + b"the fi1m is bad"),
    "edits_of_texts": (b"Although the film was long, it was good, and the cast was great .",),
    "csv_reader": (b'text,label\n"a ""good"" film",1\nbad,0\n\t', b"premise;hypothesis;label\na;b;1\nc;d;2\n1"),
    "jsonl_reader": (b'{"text": "a film", "label": "good"}\n{"text": "b", "label": 0.0}\n',),
    "yaml_reader": (
        RUN.encode(),
        b"dataset: mr\nvictim: v\nattacks: [a, b]\nlabel_map: {a: b}\nlimit: 3\ncascade: true\n",
    ),
    "selectors": (b"pwws(threat={'max_words_share': 0.2}),csv(text='a'):b.csv,worst-case:a+b,http://a/b",),
    "records_reader": (b"".join(map(_line, (HEADER, RECORD, {**RECORD, "example_id": "2", "original": ["a", "b"]}))),),
    "entries_reader": (b'{"schema": 1, "task": "classification", "members": []}\x01',),
    "archives_reader": (gzip.compress(b"good" * 9) + b"\0", _zip() + b"\1"),
}
"""Where to begin, by target."""
SHARES = {"reports": 5, "run_folders": 2}
"""How many times as long as the others those targets are fuzzed that make whole tables, each input some hundredth of a second."""
