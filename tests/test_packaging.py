"""What is shipped: the wheel holds the tree, versions agree, public names exist, and CONTRIBUTING's examples run."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

import robustbench_nlp
from robustbench_nlp import plugins
from robustbench_nlp.api import evaluate
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LINKS = ("attacks", "defenses")
PACKAGE = ROOT / "robustbench_nlp"
PLUGIN_PACKAGES = ("attacks", "defenses", "victims", "data/sources")


def shipped() -> set[str]:
    """Every file of the package, the linked folders' too, as paths inside a wheel."""
    homes = [("robustbench_nlp", PACKAGE), *((f"robustbench_nlp/{name}", ROOT / name) for name in LINKS)]
    return {
        f"{prefix}/{path.relative_to(home).as_posix()}"
        for prefix, home in homes
        for path in home.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(home).parts[0] not in LINKS
    }


def modules() -> list[str]:
    return sorted(
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in shipped()
        if path.endswith(".py")
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made from an sdist, as whoever installs from source gets it."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    left = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "mutants", "runs")
    shutil.copytree(ROOT, source, symlinks=True, ignore=left)
    line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source)]
    built = subprocess.run(line, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = (folder / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def sdist(wheel: Path) -> Path:
    (made,) = wheel.parent.glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel installed into a folder, beside the libraries that are there."""
    folder = wheel.parent.parent / "installed"
    line = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_wheel_from_an_sdist_holds_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert {name for name in inside if ".dist-info/" not in name} == shipped()
    assert {"robustbench_nlp/py.typed", "robustbench_nlp/attacks/deepwordbug.py"} <= inside
    licences = {Path(name).name for name in inside if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", *(path.name for path in PACKAGE.glob("lexicon/*LICENSE*"))}


def test_an_sdist_holds_what_builds_tests_and_documents_it(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        "Makefile",
        "constraints.txt",
        "constraints-tf5.txt",
        "pyproject.toml",
        "README.md",
        "SECURITY.md",
        "LICENSE",
    }
    assert needed - inside == set()
    assert {
        path.removeprefix("robustbench_nlp/") for path in shipped() if path.startswith("robustbench_nlp/attacks/")
    } <= inside
    assert {"tests/conftest.py", "scripts/build_api_docs.py", "docs/gates.md", "results/README.md"} <= inside


def test_the_installed_wheel_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "ROBUSTBENCH_NLP_CACHE": str(tmp_path / "cache")}
    work = tmp_path / "work"
    work.mkdir()

    def robustbench(*arguments: str) -> str:
        line = [sys.executable, str(installed / "bin" / "robustbench-nlp"), *arguments]
        done = subprocess.run(line, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    code = (
        "import robustbench_nlp, robustbench_nlp.attacks.pwws as p; print(robustbench_nlp.__file__); print(p.__file__)"
    )
    line = [sys.executable, "-c", code]
    places = subprocess.run(line, cwd=work, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert all(Path(place).is_relative_to(installed) for place in places)
    listed = robustbench("list", "attacks")
    assert all(re.search(rf"^\s*{name}\b", listed, re.MULTILINE) for name in ("deepwordbug", "pwws", "bad_characters"))
    (work / "rows.csv").write_text("text,label\na good film,positive\na dull film,negative\n", "utf-8")
    (work / "mine.py").write_text(
        "from robustbench_nlp.fakes import KeywordVictim\npredict = KeywordVictim().predict\n", "utf-8"
    )
    flags = ["--dataset", "csv:rows.csv", "--victim", "python:mine:predict", "--similarity", "none", "--output", "out"]
    robustbench(
        "run", *flags, "--attacks", "pwws,deepwordbug,worst-case", "--defenses", "none,unicode-normalize", "--quiet"
    )
    assert [path.name for path in (work / "out").glob("table.csv")] == ["table.csv"]
    assert "report.html" in robustbench("report", "out")


MOST_LINES = {"robustbench_nlp": 400, "attacks": 250, "defenses": 250, "scripts": 400, "benchmarks": 400, "tests": 550}
"""A file that is longer has two subjects: split it."""


@pytest.mark.parametrize("folder", MOST_LINES)
def test_no_module_is_too_long_to_read(folder: str) -> None:
    lengths = {
        path.name: path.read_text("utf-8").count("\n")
        for path in (ROOT / folder).rglob("*.py")
        if not set(LINKS) & set(path.relative_to(ROOT / folder).parts)
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES[folder]} == {}


def test_the_links_are_relative() -> None:
    assert {name: (PACKAGE / name).readlink().as_posix() for name in LINKS} == {name: f"../{name}" for name in LINKS}


def test_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    versions = {
        robustbench_nlp.__version__,
        PROJECT["project"]["version"],
        citation["version"],
        version("robustbench-nlp"),
    }
    assert len(versions) == 1
    assert f"\n## {versions.pop()}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is_and_exports_what_exists(name: str) -> None:
    module = import_module(name)
    assert (module.__doc__ or "").strip()
    if hasattr(module, "__path__") and not hasattr(module, "__all__"):
        return
    assert module.__all__, f"{name} has no __all__"
    assert len(set(module.__all__)) == len(module.__all__)
    for exported in module.__all__:
        getattr(module, exported)


@pytest.mark.parametrize("folder", PLUGIN_PACKAGES)
def test_plugins_describe_themselves_and_import_no_top_level_folder(folder: str) -> None:
    for path in sorted((PACKAGE / folder).glob("[!_]*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        assert (ast.get_docstring(tree) or "").partition("\n")[0].endswith((".", ":")), path.name
        imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        imported += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not {name.partition(".")[0] for name in imported} & set(LINKS), path.name


def test_ruff_bans_the_top_level_folders() -> None:
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert set(lint["flake8-tidy-imports"]["banned-api"]) == set(LINKS)
    assert "TID" in lint["select"]


def test_entry_points_load() -> None:
    declared = {"console_scripts": PROJECT["project"]["scripts"], **PROJECT["project"]["entry-points"]}
    for group, points in declared.items():
        installed = {point.name: point for point in entry_points(group=group)}
        for name in points:
            assert installed[name].load() is not None


def test_importing_the_package_costs_nothing_and_its_names_are_there() -> None:
    code = "import sys, robustbench_nlp; sys.exit(len({'torch', 'numpy', 'pandas', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(robustbench_nlp.__all__) <= set(dir(robustbench_nlp))
    assert robustbench_nlp.evaluate is evaluate
    with pytest.raises(AttributeError, match="evalute"):
        _ = robustbench_nlp.evalute


def pins(file: str) -> dict[str, str]:
    """Versions by name; every line is a pin and names no place."""
    lines = [line for line in (ROOT / file).read_text("utf-8").splitlines() if not line.startswith("#")]
    pin = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+")
    assert [line for line in lines if not pin.fullmatch(line)] == []
    return {_normal(line.partition("==")[0]): line.partition("==")[2] for line in lines}


def required(*extras: str) -> set[str]:
    """What the package and its extras need, by name, through the extras that they name."""
    listed = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in listed[extra])]
    names = {_normal(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in lines}
    inner = [re.fullmatch(r"robustbench-nlp\[(.+)\]", line) for line in lines]
    more = [extra for match in inner if match for extra in match[1].split(",")]
    return (names | required(*more) if more else names) - {"robustbench-nlp"}


def test_constraints_pin_every_requirement_and_name_no_place() -> None:
    assert required(*PROJECT["project"]["optional-dependencies"]) - pins("constraints.txt").keys() == set()


def test_a_second_environment_has_transformers_5_and_therefore_no_textattack() -> None:
    second = pins("constraints-tf5.txt")
    assert required("test-tf5") - second.keys() == set()
    assert second["transformers"].startswith("5.")
    assert "textattack" not in second
    first = pins("constraints.txt")
    assert second["torch"] == first["torch"]
    assert first["transformers"].startswith("4.")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def contributed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """CONTRIBUTING's code blocks, saved under the names in their first lines where discovery finds them."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    for name, code in blocks:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, "utf-8")
        package = import_module(f"robustbench_nlp.{path.parent.name}")
        monkeypatch.setattr(package.__spec__, "submodule_search_locations", [*package.__path__, str(path.parent)])
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(path.parent)])
    plugins._files.cache_clear()
    yield dict(blocks)
    plugins._files.cache_clear()
    for name, _ in blocks:
        sys.modules.pop("robustbench_nlp." + name.removesuffix(".py").replace("/", "."), None)


def test_the_examples_of_contributing_work(contributed: dict[str, str], tmp_path: Path) -> None:
    assert sorted(contributed) == ["attacks/shout.py", "defenses/lower_case.py"]
    assert all(code.count("\n") <= 25 for code in contributed.values())
    assert "shout" in plugins.plugin_names("attack")
    shout = plugins.create("attack", "shout")
    driven = drive(shout, sample_of(shout, "a good and fine film"), Random(0), KeywordVictim())
    assert str(driven.text) in ("a GOOD and FINE film", "a GOOD and FINE FILM")
    run = evaluate(
        victim=KeywordVictim(keywords=(("dull", "film"), ("good", "fine", "great"))),
        dataset=[("a good and fine film", 1), ("a dull film", 0)],
        attacks=["shout"],
        defenses=["none", "lower-case"],
        similarity="none",
        output=tmp_path / "run",
    )
    assert dict(zip(run.table["defense"], run.table["robust_accuracy"], strict=True)) == {
        "none": 0.5,
        "lower_case": 1.0,
    }
