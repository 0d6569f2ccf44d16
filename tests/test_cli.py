"""The command line: quick help, one line for what a user can mend, exit codes, files and flags, and one real run."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml

from robustbench_nlp import api, plugins, progress
from robustbench_nlp.cli import main

HEAVY = ("torch", "pandas", "transformers", "numpy", "sklearn", "rich")
COMMANDS = (
    "run",
    "list",
    "attack",
    "certify",
    "compare",
    "doctor",
    "fetch",
    "figures",
    "log",
    "power",
    "report",
    "review",
    "seeds",
    "submit",
    "verify",
)
ROWS = 'text,label\n"a good, fine film",positive\n"a bad, dull film",negative\n"great cast, good fun",positive\n'
VICTIM = "from robustbench_nlp.fakes import KeywordVictim\nvictim = KeywordVictim()\n"
SLOW_VICTIM = """
import time
from robustbench_nlp.fakes import KeywordVictim
def predict(texts):
    time.sleep(0.05)
    return KeywordVictim().predict(texts)
"""
SILENT_ON_LARGE_FILES = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))}


Command = Callable[..., subprocess.CompletedProcess[str]]


class Finished(NamedTuple):
    folder: Path
    complete: bool
    table: pd.DataFrame


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run `robustbench-nlp ARGUMENTS` as a process of its own, in the test's folder."""

    def call(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "robustbench_nlp.cli", *arguments]
        options = {"cwd": tmp_path, "capture_output": True, "text": True, "encoding": "utf-8", **settings}
        return subprocess.run(line, check=False, **options)

    return call


@pytest.fixture
def bench(tmp_path: Path) -> list[str]:
    """Flags of a real, tiny benchmark; its files lie in the test's folder."""
    (tmp_path / "rows.csv").write_text(ROWS, "utf-8")
    (tmp_path / "mine.py").write_text(VICTIM, "utf-8")
    return ["--victim", "python:mine:victim", "--dataset", "csv:rows.csv", "--similarity", "none"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `run` hands to `evaluate`, which runs nothing."""
    calls: list[dict[str, Any]] = []

    def evaluate(**settings: Any) -> Finished:
        calls.append(settings)
        return Finished(Path("runs/x"), True, pd.DataFrame())

    monkeypatch.setattr(api, "evaluate", evaluate)
    return calls


def one_line(text: str) -> str:
    """A complaint: one line, by name, and no traceback."""
    assert text.startswith("robustbench-nlp: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    return text.removeprefix("robustbench-nlp: ").strip()


@pytest.mark.parametrize(
    "arguments", [["-h"], ["run", "--help"], ["list"], ["list", "attacks"], ["list", "victims"], ["--version"]]
)
def test_help_and_lists_load_nothing_heavy(arguments: list[str]) -> None:
    importing = arguments in (["list"], ["list", "attacks"])  # attacks, and where datasets are looked for
    heavy = [name for name in HEAVY if not importing or name != "numpy"]
    code = (
        "import sys\nfrom robustbench_nlp.cli import main\n"
        f"main({arguments!r})\nloaded = [name for name in {heavy!r} if name in sys.modules]\nsys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("arguments", [["-h"], ["list", "attacks"]])
def test_help_and_lists_are_quick(command: Command, tmp_path: Path, arguments: list[str]) -> None:
    kept = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    kept["OPENBLAS_NUM_THREADS"] = "1"  # numpy's start else waits on every core, in which a user waits once

    def seconds() -> float:
        """Of the processor: another job on it is no fault of the command's."""
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert command(*arguments, env=kept).returncode == 0
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime - start.ru_utime + end.ru_stime - start.ru_stime

    assert min(seconds() for _ in range(5)) < 0.5  # the first call compiles, as a user's first does


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_everywhere(capsys: pytest.CaptureFixture[str], name: str, flag: str) -> None:
    assert main([name, flag]) == 0
    assert f"Usage: robustbench-nlp {name}" in capsys.readouterr().out


def test_nothing_at_all_is_a_call_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("kind", ["attacks", "defenses", "victims", "datasets", "tasks"])
def test_list(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert main(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    names = plugins.plugin_names(kind.removesuffix("s"))  # type: ignore[arg-type]
    assert sorted(row["name"] for row in rows) == sorted([*names, *["worst_case"] * (kind == "attacks")])
    assert all(row["title"] for row in rows)
    assert main(["list", kind]) == 0
    printed = capsys.readouterr().out
    assert all(f"{row['name']} " in printed for row in rows)


def test_list_of_nothing_says_what_there_is_to_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert [kind for kind, _, _ in lines] == ["attacks", "defenses", "victims", "datasets", "tasks", "trackers"]
    assert all(int(count) == len(names.split(", ")) for _, count, names in lines)
    assert main(["list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [[row["kind"], str(len(row["names"])), ", ".join(row["names"])] for row in told] == lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--datset", "mr"], "--dataset"),
        (["run", "--limit", "many"], "'many' is not a valid integer"),
        (["run", "--dataset"], "requires an argument"),
        (["list", "atacks"], "'attacks'"),
        (["run"], "--dataset"),
        (["run", "--dataset", "mr", "--victim", "tfidf-mr"], "--attacks"),
        (["run", "--dataset", "mr", "--victim", "tfidf-mr", "--attacks", "deepwordbgu"], "did you mean 'deepwordbug'"),
        (["run", "--dataset", "csv:none.csv", "--victim", "tfidf-mr", "--attacks", "pwws"], "none.csv"),
        (["run", "--dataset", "mr", "--victim", "tfidf", "--attacks", "pwws"], "did you mean 'tfidf_mr'"),
        (["run", "--label-map", "A", "--dataset", "mr"], "VICTIM_LABEL=DATASET_LABEL"),
        (["run", "none.yaml"], "none.yaml"),
        (["attack", "a film", "--victim", "tfidf-mr", "--label", "postive"], "did you mean 'positive'"),
        (["fetch", "minilm"], "did you mean 'minilm-mr'"),
    ],
)
def test_bad_use_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = one_line(capsys.readouterr().err)
    assert said in told
    assert all(sentence[-1] in ".?)" for sentence in told.split(" See robustbench-nlp")[:-1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("datset: mr", "did you mean 'dataset'"),
        ("limit: many", "--limit"),
        ("- mr", "holds no settings"),
        ("a: [", "is not YAML"),
        ("", "holds no settings"),
    ],
)
def test_a_bad_benchmark_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(content, "utf-8")
    assert main(["run", str(path)]) == 2
    assert said in one_line(capsys.readouterr().err)


def test_only_what_was_given_reaches_evaluate(asked: list[dict[str, Any]]) -> None:
    given = [
        "--quiet",
        "--attacks",
        "random-typos(share=0.2,draws=2),worst-case",
        "--no-resume",
        "--cascade",
        "--label-map",
        "a=b, c=d",
    ]
    assert main(["run", *given, "--dataset", "mr", "--victim", "tfidf-mr"]) == 0
    assert asked == [
        {
            "attacks": ["random-typos(share=0.2,draws=2)", "worst-case"],
            "resume": False,
            "cascade": True,
            "label_map": {"a": "b", "c": "d"},
            "dataset": "mr",
            "victim": "tfidf-mr",
        }
    ]


def test_flags_win_over_the_file(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "bench.yaml"
    settings = {
        "dataset": "mr",
        "victim": "tfidf-mr",
        "attacks": ["pwws"],
        "defenses": "none,spell",
        "max-queries": 9,
        "limit": 10,
        "seed": None,
        "deterministic": True,
        "label_map": {"neg": "negative"},
        "quiet": True,
    }
    path.write_text(yaml.safe_dump(settings), "utf-8")
    assert main(["run", "--limit", "20", str(path), "--victim", "minilm-mr"]) == 0
    assert asked == [
        {
            "dataset": "mr",
            "victim": "minilm-mr",
            "attacks": ["pwws"],
            "defenses": ["none", "spell"],
            "max_queries": 9,
            "limit": 20,
            "deterministic": True,
            "label_map": {"neg": "negative"},
        }
    ]


def test_a_real_run_and_its_run_yaml(command: Command, bench: list[str], tmp_path: Path) -> None:
    done = command("run", *bench, "--attacks", "random-typos,deepwordbug,worst-case", "--output", "one")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "one"
    assert all(name in done.stdout for name in ("random_typos", "deepwordbug", "worst"))
    again = command("run", "one/run.yaml", "--output", "two", "--quiet")
    assert (again.returncode, again.stdout, again.stderr) == (0, "two\n", "")
    one, two = (pd.read_csv(tmp_path / name / "table.csv").drop(columns="seconds") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)


def test_a_row_with_errors_is_incomplete(command: Command, bench: list[str], tmp_path: Path) -> None:
    victim = (
        "from robustbench_nlp.fakes import KeywordVictim\ndef victim(texts):\n"
        "    if any('dull' in text for text in texts):\n        raise ValueError('dull')\n    return KeywordVictim().predict(texts)\n"
    )
    (tmp_path / "mine.py").write_text(victim, "utf-8")
    done = command("run", *bench, "--attacks", "random-typos", "--output", "run", "--quiet")
    assert done.returncode == 1
    assert "incomplete" in one_line(done.stderr)
    assert done.stdout == "run\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def evaluate(**settings: Any) -> None:
        raise OSError(number, os.strerror(number), "records.jsonl")

    monkeypatch.setattr(api, "evaluate", evaluate)
    assert main(["run"]) == 2
    line = one_line(capsys.readouterr().err)
    assert "records.jsonl" in line
    assert "is kept, and the same command goes on" in line


def test_a_file_that_cannot_grow_then_can(command: Command, bench: list[str], tmp_path: Path) -> None:
    """A real refusal of the file system in the middle of a run; the same command ends it afterwards."""
    arguments = ["run", *bench, "--attacks", "deepwordbug", "--output", "run", "--quiet"]
    refused = command(*arguments, **SILENT_ON_LARGE_FILES)
    assert refused.returncode == 2
    assert "the same command goes on" in one_line(refused.stderr)
    assert not (tmp_path / "run" / "table.csv").exists()
    assert command(*arguments).returncode == 0
    assert (tmp_path / "run" / "table.csv").exists()


def test_an_output_that_is_a_file(command: Command, bench: list[str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", "utf-8")
    done = command("run", *bench, "--attacks", "random-typos", "--output", "taken")
    assert done.returncode == 2
    assert "taken" in one_line(done.stderr)
    assert (tmp_path / "taken").read_text("utf-8") == "mine"


def heed_interrupts() -> None:
    """Undo what a shell does to the commands that it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_control_c(bench: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW_VICTIM.replace("predict", "victim", 1), "utf-8")
    line = [sys.executable, "-m", "robustbench_nlp.cli", "run", *bench, "--attacks", "deepwordbug", "--output", "run"]
    with subprocess.Popen(
        line,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 (the test runs no threads here)
    ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("run/records/*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in one_line(err)


def test_a_closed_pipe_is_no_error() -> None:
    line = f'{sys.executable} -c \'import time; time.sleep(0.3); from robustbench_nlp.cli import main; main(["list", "attacks"])\' | true'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_attack_one_sentence(command: Command, bench: list[str]) -> None:
    done = command(
        "attack",
        "a good film 🙂",
        *bench[:2],
        "--attack",
        "pwws",
        "--defense",
        "unicode-normalize",
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = done.stdout.splitlines()
    assert [row.split()[0] for row in rows if not row.startswith(" ")] == [
        "victim",
        "before",
        "attack",
        "after",
        "outcome",
    ]
    assert "defense unicode-normalize" in rows[0]
    assert "queries" in rows[-1]


def test_attack_what_is_wrong_already(command: Command, bench: list[str]) -> None:
    done = command("attack", "a good film", *bench[:2], "--label", "negative")
    assert done.returncode == 0
    assert "not attacked" in done.stdout


def test_texts_that_the_terminal_cannot_show(command: Command, bench: list[str]) -> None:
    text = os.fsdecode(b"a good film \xe2\x98\x82 \xff")
    done = command("attack", text, *bench[:2], env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "a good film \\u2602 \\udcff" in done.stdout


def test_names_are_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    with progress.listening(Console()):
        progress.note("none × noise:keyboard: clean [b]100[/b] %")
    assert capsys.readouterr().out == "none × noise:keyboard: clean [b]100[/b] %\n"
