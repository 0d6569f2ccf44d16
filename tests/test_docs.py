"""Every block of every page does what the page says: shell and Python blocks run, in an empty folder, with small stand-ins
for models and data; a command in a sentence is read by the real command line."""

from __future__ import annotations

import configparser
import csv
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import click
import documented
import pytest
import yaml
from boards import BAD, GOOD
from documented import ROOT, Block

from robustbench_nlp.cli import main
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim

SHORTER: Sequence[tuple[str, str]] = (
    (r"\bminilm-mr\b", "tfidf-mr"),
    (r"(--limit[ =]|\blimit ?= ?)\d+", r"\g<1>8"),
    (r"--workers \d+", "--workers 2"),
    (r"\btypo-augmentation\b", "unicode-normalize"),
    (r"\brecommended\b", "noisy-channel"),
    (r"(certify .*)\branmask\b", r"\1'ranmask(train=False)'"),
    (r"\bstandard-1\b", "fast-1"),
    (r"(robust_victim) = \S+", r"\1 = python:my_module:predict"),
    (r"(robust_data) = \S+", r"\1 = csv:reviews.csv"),
)
"""What stands in for what takes long: a victim that needs no transformer, few examples, a defense that trains nothing."""
READ_ONLY = {
    "make": "runs what other tests run",
    "pip": "needs an index of packages",
    "pre-commit": "is not ours",
    "python": "scripts here take minutes or more",
    "robustbench-nlp log runs/first --to mlflow:": "needs a server",
}
"""Commands that are read and not run, by how they begin, and why."""
NOT_RUN = {
    ("docs/gates.md", "text"): "what a gate prints",
    ("docs/http.md", "text"): "what an estimate and the end of a budget print",
    ("docs/reports.md", "latex"): "a document that needs a TeX installation",
}
"""Blocks that are neither run nor read, and why."""
MODULE = "from robustbench_nlp.fakes import KeywordVictim\npredict = KeywordVictim().predict\n"
ROWS = [
    (text.format(i), label)
    for i in range(3)
    for label, texts in (("negative", BAD), ("positive", GOOD))
    for text in texts
]


class Handler(BaseHTTPRequestHandler):
    """A victim behind a URL, as README describes it."""

    def do_POST(self) -> None:
        inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        content = json.dumps({"probabilities": KeywordVictim().predict(inputs).tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder: their model, module, data and benchmark under the names that the pages use."""
    from tiny_bert import save

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    save(tmp_path / "my-classifier")
    (tmp_path / "my_module.py").write_text(MODULE, "utf-8")
    with (tmp_path / "reviews.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS])
    lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    (tmp_path / "reviews.jsonl").write_text("\n".join(lines), "utf-8")
    benchmark = {
        "dataset": "csv:reviews.csv",
        "victim": "python:my_module:predict",
        "attacks": ["random-typos"],
        "similarity": "none",
    }
    for name in ("benchmark.yaml", "FILE"):
        (tmp_path / name).write_text(yaml.safe_dump(benchmark), "utf-8")
    for name in ("docs", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    yield tmp_path
    sys.modules.pop("my_module", None)


def run(argv: list[str], desk: Path) -> None:
    """One command for real, in the user's folder."""
    if argv[0] == "robustbench-nlp":
        if argv[1:3] == ["review", "--read"]:
            readers_fill(desk)
        assert main(argv[1:]) == 0, argv
    elif argv[0] == "pytest":
        line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *argv[1:]]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }
        done = subprocess.run(line, cwd=desk, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        raise AssertionError(f"{argv[0]} is neither run nor marked in READ_ONLY")


def readers_fill(desk: Path) -> None:
    """Two readers' copies of the sheet that `review` drew."""
    with (desk / "review.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in ("anna.csv", "ben.csv"):
        with (desk / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow(row | {"label": row.get("label") or "positive", "meaning": "4", "grammar": "4"})


def shortened(text: str, server: str = "http://127.0.0.1:8000") -> str:
    for long, short in SHORTER:
        text = re.sub(long, short, text)
    return text.replace("http://127.0.0.1:8000", server)


def perform(page: str, block: Block, desk: Path, server: str) -> None:
    """Run, save or read one block; raises where it is none of these."""
    code = shortened(block.code, server)
    if block.name:
        (desk / block.name).parent.mkdir(parents=True, exist_ok=True)
        (desk / block.name).write_text(code, "utf-8")
    if block.language == "sh":
        for line in documented.commands(code):
            reasons = [why for start, why in READ_ONLY.items() if line.strip().startswith(start)]
            for argv in documented.words(line):
                documented.read(argv)
                if not reasons:
                    run(argv, desk)
    elif block.language == "python" and "def test_" in code:
        if not block.name:
            (desk / "test_block.py").write_text(code, "utf-8")
            run(["pytest", "-q", "test_block.py"], desk)
    elif block.language == "python":
        module = sys.modules["block"] = ModuleType("block")
        try:
            exec(compile(code, f"{page}:{block.line}", "exec"), module.__dict__)
        finally:
            del sys.modules["block"]
    elif block.language == "ini":
        configparser.ConfigParser().read_string(code if "[" in code.split("=")[0] else f"[pytest]\n{code}")
    elif block.language == "yaml":
        assert yaml.safe_load(code)
    else:
        assert (page, block.language) in NOT_RUN, f"{page}:{block.line}: neither run nor read nor marked in NOT_RUN"


WITH_BLOCKS = [page for page in documented.pages() if documented.blocks((ROOT / page).read_text("utf-8"))]


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_the_blocks_of_a_page_do_what_it_says(page: str, desk: Path, server: str) -> None:
    for block in documented.blocks((ROOT / page).read_text("utf-8")):
        perform(page, block, desk, server)


@pytest.mark.parametrize("page", documented.pages())
def test_the_commands_in_a_pages_sentences_exist(page: str, desk: Path) -> None:
    for span in documented.spans((ROOT / page).read_text("utf-8")):
        for argv in documented.words(span):
            documented.read(argv)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("robustbench-nlp run --datset mr --victim tfidf-mr", "datset"),
        ("robustbench-nlp rum --dataset mr", "no command rum"),
        ("robustbench-nlp run --dataset mr --attacks deepwordbgu", "did you mean 'deepwordbug'"),
        ("robustbench-nlp run --dataset mr --defenses none,spell+lower_cas", "lower_cas"),
        ("make quikstart", "quikstart"),
        ("pip install 'robustbench-nlp[plot]'", "plot"),
        ("python scripts/no_such.py", "no_such"),
        ("python scripts/measure_ensemble.py --limt 3", "--limt"),
        ("python scripts/fuzz.py --one yaml_reader", "--one"),
        ("overhead.py --textatack", "--textatack"),
        ("cargo build", "cargo"),
    ],
)
def test_a_planted_fault_is_found(command: str, problem: str, desk: Path, server: str) -> None:
    page = f"Do this:\n\n```sh\n{command}   # soon\n```\n"
    (block,) = documented.blocks(page)
    with pytest.raises((click.ClickException, UsageError, AssertionError, OSError), match=re.escape(problem)):
        perform("README.md", block, desk, server)
    if not command.startswith("cargo"):
        (span,) = documented.spans(f"Or `{command}` instead.")
        with pytest.raises((click.ClickException, UsageError, AssertionError, OSError), match=re.escape(problem)):
            documented.read(next(documented.words(span)))


def test_a_block_of_an_unknown_kind_is_no_documentation(desk: Path, server: str) -> None:
    with pytest.raises(AssertionError, match="neither run nor read"):
        perform("README.md", Block(1, "ruby", "puts 1\n"), desk, server)
    with pytest.raises(NameError):
        perform("README.md", Block(1, "python", "rb.evaluate()\n"), desk, server)
