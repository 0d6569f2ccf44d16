"""Texts, files and folders of others: none of them runs code, steers a terminal, leaves its folder, or computes in a spreadsheet."""

from __future__ import annotations

import ast
import csv
import gzip
import importlib
import io
import json
import marshal
import os
import pickle
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

import robustbench_nlp
from robustbench_nlp import posting, progress
from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.archives import extracted, gunzipped
from robustbench_nlp.attacks.morpheus import inflections
from robustbench_nlp.cli import main
from robustbench_nlp.console import printable, say
from robustbench_nlp.data import Dataset, Example
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.lexicon import chinese
from robustbench_nlp.lexicon.tagger import tagger_of
from robustbench_nlp.records import read
from robustbench_nlp.report import latex, shown
from robustbench_nlp.report.files import written
from robustbench_nlp.report.sheet import defused
from robustbench_nlp.resources import verified
from robustbench_nlp.screen import Screen
from robustbench_nlp.settings_file import plain_yaml
from robustbench_nlp.verification import verify
from robustbench_nlp.victims import http

ROOT = Path(robustbench_nlp.__file__).resolve().parent.parent
HOSTILE = (
    "a good \x1b[31mred\x1b]0;title\x07 film",
    '=HYPERLINK("http://example.org";"good")',
    "@SUM(1+1)*cmd|' /C calc'!A0 good",
    "<script>alert('good')</script> [good](javascript:alert(1)) | **bold**",
    "\\input{/etc/passwd} good $x^2$ %& #1 _a_ ~{}",
    "\u202egood film\u202c \u009b2J \x7f\x08\x00",
)


# what the package never calls


@cache
def sources() -> list[tuple[Path, ast.AST]]:
    paths = [
        path for name in ("robustbench_nlp", "attacks", "defenses", "scripts") for path in (ROOT / name).rglob("*.py")
    ]
    return [(path.relative_to(ROOT), node) for path in paths for node in ast.walk(ast.parse(path.read_text("utf-8")))]


FORBIDDEN_CALLS = re.compile(
    r"(eval|exec|compile|__import__|os\.(system|popen|exec\w*|spawn\w*)|marshal\.\w+|shelve\.\w+|dill\.\w+|joblib\.\w+"
    r"|c?[pP]ickle\.(?!dumps$)\w+|yaml\.(unsafe_|full_)?load(_all)?|torch\.load|tempfile\.mktemp"
    r"|(tarfile|zipfile)\.\w+\.extract(all)?|\w+\.extractall|shutil\.unpack_archive|(pd|pandas)\.read_pickle)"
)
FORBIDDEN_KEYWORDS = {("shell", True), ("trust_remote_code", True), ("allow_pickle", True), ("weights_only", False)}


def test_nothing_that_runs_what_it_reads_is_called() -> None:
    for path, node in sources():
        if isinstance(node, ast.Call):
            assert not FORBIDDEN_CALLS.fullmatch(ast.unparse(node.func)), f"{path}:{node.lineno}"
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                assert (keyword.arg, value) not in FORBIDDEN_KEYWORDS, f"{path}:{node.lineno}"


def test_pickle_only_makes_a_digest() -> None:
    named = {
        path for path, node in sources() if isinstance(node, ast.Import) and any("pickle" in n.name for n in node.names)
    }
    assert named == {
        Path("robustbench_nlp/victim.py"),
        Path("robustbench_nlp/workers.py"),
    }  # workers: its errors by name


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    ("module", "file", "name", "use"),
    [
        ("HanTa.HanoverTagger", "morphmodel_en.pgz", "tagger", tagger_of.__wrapped__),
        ("lemminflect", "resources/model_lemma.pkl.gz", "inflections", lambda: inflections.__wrapped__("films")),
    ],
)
def test_a_pickle_of_a_package_is_held_against_its_hash_before_it_is_read(
    module: str, file: str, name: str, use: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = module.partition(".")[0]
    folder = Path(str(importlib.import_module(module).__file__)).parent
    shutil.copytree(folder, tmp_path / package)
    (tmp_path / package / file).write_bytes(gzip.compress(pickle.dumps(Planted(tmp_path / "mark"))))
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.syspath_prepend(tmp_path)
    verified.cache_clear()
    with pytest.raises(UsageError, match=rf"the {name} can't be used: {file} has .*; reinstall it: pip install"):
        use()
    assert not (tmp_path / "mark").exists()


def test_the_current_folder_gives_no_model_to_the_tagger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "morphmodel_en.pgz").write_bytes(gzip.compress(pickle.dumps(Planted(tmp_path / "mark"))))
    monkeypatch.chdir(tmp_path)
    assert tagger_of.__wrapped__().tag_word("film", 1)
    assert not (tmp_path / "mark").exists()


def test_the_shared_temporary_folder_says_nothing_of_chinese_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jieba.cache").write_bytes(marshal.dumps(({"电影": 1}, 1)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    segmenter = chinese._segmenter.__wrapped__()
    assert segmenter.FREQ["电影"] > 1
    assert [word for word, *_ in segmenter.tokenize("我喜欢电影")] == ["我", "喜欢", "电影"]
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"]


def test_there_is_one_way_to_the_terminal() -> None:
    allowed = {Path("robustbench_nlp/console.py"), Path("robustbench_nlp/screen.py")}
    for path, node in sources():
        if isinstance(node, ast.Call) and path.parts[0] == "robustbench_nlp" and path not in allowed:
            name = ast.unparse(node.func)
            assert name not in {
                "click.echo",
                "click.secho",
                "print",
                "Console",
                "sys.stdout.write",
                "sys.stderr.write",
            }, f"{path}:{node.lineno}: use robustbench_nlp.console.say or robustbench_nlp.screen.screen"


# the terminal

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@given(st.text())
def test_what_is_printable_steers_nothing_and_stays_what_it_is(text: str) -> None:
    shown = printable(text)
    assert not STEERING.search(shown)
    assert printable(shown) == shown
    assert shown == text or STEERING.search(text) or "\u061c" in text


def test_control_sequences_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(force_terminal=True, width=60, color_system="truecolor")
    for text in HOSTILE:
        say(text)
        say(text, err=True)
        screen.print(text, markup=False)
        table = Table()
        table.add_column(text)
        table.add_row(Text(text, "bold"))
        screen.print(table)
        with progress.listening(screen), progress.task(text, 2) as step:
            step(1, text)
            progress.note(text)
    told = capsys.readouterr()
    assert "\\x1b[31mred" in told.out + told.err
    own = re.compile(r"\x1b\[(?:\d+(?:;\d+)*)?m|\x1b\[\d*[AKGBCDJ]|\x1b\[\?25[lh]|\r")
    assert "\x1b[1m" in told.out, "styles are its own"
    assert not STEERING.search(own.sub("", told.out))
    assert "\x1b[31mred" not in told.out + told.err
    assert not STEERING.search(told.err)


def test_complaints_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--dataset", "csv:\x1b[2Jno.csv", "--victim", "tfidf-mr", "--attacks", "pwws"]) == 2
    assert main(["run", "--dataset", "\x1b[2J"]) == 2
    assert main(["\x1b[2J"]) == 2
    assert main(["attack", "--\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err


# reports


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose texts and names are hostile."""
    pairs = [(f"{text} number {i}", i % 2) for i, text in enumerate(HOSTILE * 3)]
    examples = tuple(Example(fields={"text": text}, label=label) for text, label in pairs)
    data = Dataset(
        name="=cmd|x.csv\x1b[31m\n\n# Title",
        split="test",
        examples=examples,
        label_names=("=1+1", "</td><script>"),
        note="see [this](javascript:alert(1)) <img src=x onerror=alert(1)>",
    )
    victim = KeywordVictim(name="=a|b</td>[x](http://e.org)\\end{table}%\u202e", label_names=("=1+1", "</td><script>"))
    return evaluate(
        victim=victim,
        dataset=data,
        attacks=["deepwordbug", "random-typos"],
        defenses=["none", "unicode-normalize"],
        similarity="none",
        output=tmp_path_factory.mktemp("hostile"),
    )


def test_sheets_compute_nothing_and_machines_read_every_character(hostile: Run) -> None:
    (path,) = written(hostile.folder, ["sheet"])
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    assert len(rows) == 4 * 18
    for row in rows:
        for value in row.values():
            assert not value.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
            assert not STEERING.search(value)
    assert any(row["original"].startswith("'=HYPERLINK") for row in rows)
    texts = {record.original for records in hostile.records.values() for record in records}
    assert {f"{text} number {i}" for i, text in enumerate(HOSTILE * 3)} == texts
    table = list(csv.DictReader(io.StringIO((hostile.folder / "table.csv").read_text("utf-8"), newline="")))
    assert {row["dataset"] for row in table} == {"=cmd|x.csv\x1b[31m\n\n# Title"}
    assert {row["victim"] for row in table} == {"=a|b</td>[x](http://e.org)\\end{table}%\u202e"}


@given(st.text())
def test_a_defused_cell_is_a_text(text: str) -> None:
    cell = defused(text)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == printable(text) or text.startswith("'")


def test_markdown_shows_hostile_names_and_does_nothing(hostile: Run) -> None:
    text = (hostile.folder / "table.md").read_text("utf-8")
    assert not STEERING.search(text)
    head, _, *rows = text.partition("\n\n")[0].splitlines()
    cells = len(re.findall(r"(?<!\\)\|", head))
    assert all(len(re.findall(r"(?<!\\)\|", row)) == cells for row in rows)
    assert not re.search(r"(?<!\\)<", text)
    assert "](" not in text
    assert "\n#" not in text


def unescaped(text: str) -> str:
    """What is left of LaTeX without what `report/latex.py` writes itself."""
    return re.sub(
        r"\\text(backslash|asciitilde|asciicircum)\{\}|\\,(?=\\%)|\\[&%$#_{}]|\$\\(geq|times|dagger|approx|pm)\$|\$-\$",
        "",
        text,
    )


@given(st.text())
@example("5 %")
def test_latex_has_no_command_of_a_text(text: str) -> None:
    left = unescaped(latex._escaped(text))
    assert not re.search(r"[\\&%$#_{}~^]", left)
    assert not STEERING.search(left)
    assert "\n" not in left


def test_latex_of_a_hostile_run_is_balanced(hostile: Run) -> None:
    (path,) = written(hostile.folder, ["latex"])
    text = re.sub(r"\\textbackslash\{\}", "", path.read_text("utf-8"))
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count("\\end{table}") == text.count("\\begin{table}") == 1
    assert not STEERING.search(text)


@given(st.text())
def test_a_markdown_cell_stays_a_cell(text: str) -> None:
    cell = shown.escaped(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<*_`]", cell)
    assert "](" not in cell
    assert "][" not in cell
    assert "\n" not in cell


# archives


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["in/../../evil", "in/..\\evil", "in/a/../../../evil", "in/c:evil"])
def test_an_archive_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", **{"in/good": b"good", name: b"evil"})
    with pytest.raises(UsageError, match="leads out of it"):
        extracted(archive, tmp_path / "out", "in/")
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("in/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UsageError, match="leads out of it"):
        extracted(tmp_path / "a.zip", tmp_path / "out", "in/")


def test_only_what_is_asked_for_is_unpacked(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", **{"in/x/good": b"good", "other": b"other", "/in/abs": b"abs"})
    assert extracted(archive, tmp_path / "out", "in/") == tmp_path / "out" / "in/"
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["good"]
    assert (tmp_path / "out/in/x/good").read_bytes() == b"good"


def test_bombs_stop_where_they_pass_the_limit(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", **{"in/bomb": bytes(5 << 20)})
    with pytest.raises(UsageError, match="more than 1 MB"):
        extracted(archive, tmp_path / "out", "in/", most=1 << 20)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) <= 1 << 20
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(5 << 20)))
    with pytest.raises(UsageError, match="more than 1 MB"):
        gunzipped(tmp_path / "bomb.gz", most=1 << 20)


@pytest.mark.parametrize("place", [3, 12, -9, -1])
def test_damaged_archives_are_told(tmp_path: Path, place: int) -> None:
    (tmp_path / "a.gz").write_bytes(whole := gzip.compress(b"good" * 100))
    assert gunzipped(tmp_path / "a.gz") == b"good" * 100
    for content in (whole[:place], whole[:place] + b"\xff" + whole[place:][1:] + b"x", b"", b"no gzip"):
        (tmp_path / "a.gz").write_bytes(content)
        with pytest.raises(UsageError, match="damaged"):
            gunzipped(tmp_path / "a.gz")
    whole = zipped(tmp_path / "a.zip", **{"in/good": b"good" * 100}).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[:20] + bytes(30) + whole[50:])
    with pytest.raises(UsageError, match="damaged"):
        extracted(tmp_path / "a.zip", tmp_path / "out", "in/")


# YAML


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1, 1]\nb: *x", "aliases"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: 2001-99-99", "month must be in"),
        ("[" * 5000, "nested too deeply"),
        ("? {a: b}\n: c", "unhashable"),
        ("a: [", "is not YAML"),
        ("- a", "holds no settings"),
        ("", "holds no settings"),
        ("a: " + "x" * 1_000_001, "1,000,004 characters"),
        ("a: \x00", "is not YAML"),
    ],
)
def test_settings_are_plain(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plain_yaml(text, "a file")


def test_what_a_run_writes_is_plain(hostile: Run) -> None:
    text = (hostile.folder / "run.yaml").read_text("utf-8")
    assert plain_yaml(text, "run.yaml") == yaml.safe_load(text)


# somebody else's run folder


@pytest.mark.parametrize(
    ("victim", "does"),
    [
        ("python:subprocess:check_output", "runs code"),
        ("hf(trust_remote_code=True):./model", "runs code"),
        ("http://127.0.0.1:1/predict", "sends texts to a server"),
        ("https://127.0.0.1:1/predict", "sends texts to a server"),
        ("http:127.0.0.1", "sends texts to a server"),
    ],
)
def test_verifying_runs_nothing_that_the_folder_names(hostile: Run, tmp_path: Path, victim: str, does: str) -> None:
    for name in ("run.yaml", "table.csv"):
        (tmp_path / name).write_bytes((hostile.folder / name).read_bytes())
    text = (tmp_path / "run.yaml").read_text("utf-8").partition("\n")[2]
    settings = {**yaml.safe_load(text), "victim": victim, "dataset": "mr"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    with pytest.raises(UsageError, match=f"{does}; look at it, then add --trust"):
        verify(tmp_path)
    assert main(["verify", str(tmp_path)]) == 2


def test_an_answer_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from test_victims import serving

    monkeypatch.setattr(posting, "MOST_BYTES", 1 << 20)
    with serving(lambda _: (200, b" " * (3 << 20))) as (url, _), pytest.raises(VictimError, match="more than 1 MB"):
        http.HttpVictim(url).predict(["a"])


def test_a_server_sends_nobody_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect is an error: the token goes where the user said."""
    from test_victims import lengths, serving

    monkeypatch.setenv("ROBUSTBENCH_NLP_HTTP_TOKEN", "hush")
    with serving(lengths) as (elsewhere, seen), serving(lambda _: (307, b"")) as (url, asked):
        end = BaseHTTPRequestHandler.end_headers

        def end_headers(handler: BaseHTTPRequestHandler) -> None:
            handler.send_header("Location", elsewhere)
            end(handler)

        monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", end_headers)
        with pytest.raises(VictimError, match="status 307"):
            http.HttpVictim(url).predict(["a"])
    assert (len(asked), seen) == (1, [])


def test_records_are_exact_and_ascii(hostile: Run) -> None:
    for path in (hostile.folder / "records").glob("*.jsonl"):
        assert path.read_bytes().isascii()
        assert not STEERING.search(path.read_text("ascii").replace("\n", ""))
        cell = read(path)
        assert cell is not None
        assert json.dumps(sorted(str(record.original) for record in cell.records.values()))
