"""What the documentation shows: its fenced blocks, the commands in its sentences, and what reads a command without running it."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from robustbench_nlp import plugins
from robustbench_nlp.cli import app
from robustbench_nlp.grid import WORST_CASE

ROOT = Path(__file__).resolve().parent.parent
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
FOLDERS = ("docs", "benchmarks", "results")
_BLOCK = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`((?:robustbench-nlp|make|pip|pre-commit|pytest|python|\w+\.py) [^`]+)`")
SCRIPTS = ("scripts", "benchmarks")
PROGRAMS = ("robustbench-nlp", "make", "pip", "pre-commit", "pytest", "python")


class Block(NamedTuple):
    """A fenced block; `name` is the file that its first line names, if one."""

    line: int
    language: str
    code: str

    @property
    def name(self) -> str:
        found = re.match(r"# ([\w/.-]+\.\w+)\n", self.code)
        return found[1] if found else ""


def pages() -> list[str]:
    """Every page that is read by people and written by hand, from the root of the repository."""
    below = [path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")]
    return [*TOP, *sorted(below)]


def blocks(text: str) -> list[Block]:
    return [Block(text[: m.start()].count("\n") + 1, m[1], m[2]) for m in _BLOCK.finditer(text)]


def commands(block: str) -> list[str]:
    """The command lines of a shell block, continued lines joined."""
    return [
        line for line in block.replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


def spans(text: str) -> list[str]:
    """Commands in sentences and tables."""
    return _SPAN.findall(_BLOCK.sub("", text))


def words(line: str) -> Iterator[list[str]]:
    """The words of each command of a line (`a && b`, `a | b` are two), without comments."""
    current: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word not in ("&&", "|", ";", "&"):
            current.append(word)
        elif current:
            yield current
            current = []


def read(argv: Sequence[str]) -> None:
    """Raise where a command can't be meant: no such program, subcommand, option, attack, target, extra or script."""
    program, *rest = argv
    if program.endswith(".py"):  # a script that a table names by its file alone
        found = (f"{folder}/{program}" for folder in SCRIPTS if (ROOT / folder / program).is_file())
        program, rest = "python", [next(found, program), *rest]
    assert program in PROGRAMS, f"what is {program}?"
    if program == "robustbench-nlp":
        _ours(rest)
    elif program == "make":
        asked = subprocess.run(["make", "-n", *rest], cwd=ROOT, capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr
    elif program == "pip":
        _installs(rest)
    elif program == "python" and rest[0] != "-m":
        script = ROOT / rest[0] if (ROOT / rest[0]).is_file() else Path(rest[0])  # or a block that was saved before
        assert script.is_file(), f"no file {rest[0]}"
        missing = {word.partition("=")[0] for word in rest[1:] if word.startswith("-")} - _options(script)
        assert not missing, f"{rest[0]} has no {sorted(missing)}"


def _options(script: Path) -> set[str]:
    """The options that a script's parser knows, off its source: to ask it would import models."""
    called = [node for node in ast.walk(ast.parse(script.read_text("utf-8"))) if isinstance(node, ast.Call)]
    declaring = ("add_argument", "option")  # argparse's, click's
    adding = [call for call in called if isinstance(call.func, ast.Attribute) and call.func.attr in declaring]
    return {"-h", "--help"} | {word.value for call in adding for word in call.args if isinstance(word, ast.Constant)}


def _ours(arguments: Sequence[str]) -> None:
    """By the real click command: what it doesn't know it refuses. Selectors must name plug-ins that exist."""
    group = click.Context(app, info_name="robustbench-nlp", **app.context_settings)
    if arguments[0].startswith("-"):
        app.make_context("robustbench-nlp", [*arguments])
        return
    command = app.get_command(group, arguments[0])
    assert command is not None, f"no command {arguments[0]}"
    with command.make_context(arguments[0], list(arguments[1:]), parent=group) as context:
        given = context.params
    for attack in given.get("attacks") or ():
        if plugins.parse(attack).name != WORST_CASE:
            plugins.factory("attack", plugins.parse(attack).name)
    for defense in given.get("defenses") or ():
        for part in defense.split("+"):
            if part != "none":
                plugins.factory("defense", plugins.parse(part).name)


def _installs(arguments: Sequence[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert arguments[0] == "install"
    for word in arguments[1:]:
        extras = re.fullmatch(r"(?:\.|robustbench-nlp|robustbench_nlp\S*\.whl)\[([\w,-]+)\]", word)
        unknown = set(extras[1].split(",")) - set(project["optional-dependencies"]) if extras else set()
        assert not unknown, f"no extra {unknown}"
        assert not word.endswith(".txt") or (ROOT / word).is_file(), f"no file {word}"
