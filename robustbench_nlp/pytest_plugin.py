"""The pytest plug-in: the marker and fixture `robustness`, the fixtures `victim` and `attack_suite`, the options `--robust-…`.

Loaded by every pytest run of an environment that has this package, so it imports nothing heavy before a check.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from robustbench_nlp.errors import UsageError
from robustbench_nlp.gates.gate import Gate, InconclusiveGate
from robustbench_nlp.gates.options import GateOptions, add_options, options_of
from robustbench_nlp.gates.selection import MARKER, attacks_of, select, suite_members, whole
from robustbench_nlp.gates.summary import properties, summary, told

__all__ = ["Gate", "InconclusiveGate", "attack_suite", "robustness", "victim"]

MARKER_LINE = (
    "robustness(attack, threat={}, min_accuracy=None, max_drop=None, tolerance=…, data=None, defenses=('none',), limit=None, seed=0, "
    "...): settings of the fixture `robustness`, whose check(victim=..., data=...) fails where accuracy under attack is too "
    "low, drops too far, or is worse than the baseline's"
)
OPTIONS = pytest.StashKey[GateOptions]()
CHECKED_NOTHING = "a gate that checked nothing; call robustness.check(…) in it, by the fixture"


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER_LINE)
    try:
        config.stash[OPTIONS] = options_of(config)
    except UsageError as problem:
        raise pytest.UsageError(str(problem)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `attack_suite` is one test an attack of its suite: of the marker's, else of --robust-suite."""
    if "attack_suite" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker(MARKER)
    suite: Any = (marker.kwargs.get("suite") if marker else None) or metafunc.config.stash[OPTIONS].suite
    try:
        members = suite_members(suite)
    except UsageError as problem:
        raise pytest.UsageError(str(problem)) from None
    metafunc.parametrize("attack_suite", list(members.values()), ids=list(members))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    try:
        select(config, items, config.stash[OPTIONS])
    except UsageError as problem:
        raise pytest.UsageError(str(problem)) from None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that is a gate and passes without a check would be green for ever: it fails."""
    result = yield
    gate = pyfuncitem.funcargs.get(MARKER)
    marked = any(marker.name == MARKER for marker in pyfuncitem.own_markers)  # a module's or a class's is a default
    if gate.checks == 0 if isinstance(gate, Gate) else marked:
        pyfuncitem.user_properties += properties(1, "fail", CHECKED_NOTHING, None, "")
        pytest.fail(CHECKED_NOTHING, pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    gates = [gate for report in reports for gate in told(report.nodeid, report.user_properties)]
    if lines := summary(gates, _unused(terminalreporter, exitstatus, config) if gates else ()):
        terminalreporter.section("robustness")
        for line in lines:
            terminalreporter.line(line)


def _unused(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> list[str]:
    """The baselines that no test uses any more, where all tests ran."""
    folder = config.stash[OPTIONS].baseline
    if folder is None or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not whole(config):
        return []
    from robustbench_nlp.gates.baseline import near, unused

    tests = {report.nodeid for kind in terminalreporter.stats.values() for report in kind if hasattr(report, "nodeid")}
    return [near(path) for path in unused(folder, tests, config.rootpath)]


@pytest.fixture(scope="session")
def victim(pytestconfig: pytest.Config) -> object:
    """What gates attack unless they name another: opened once from --robust-victim. Write your own in conftest.py."""
    selector = pytestconfig.stash[OPTIONS].victim
    if not selector:
        pytest.fail(
            "no victim; give check(victim=…), --robust-victim SELECTOR, robust_victim in the ini file, or a fixture "
            "`victim` in conftest.py",
            pytrace=False,
        )
    from robustbench_nlp.victim import open_victim

    try:
        return open_victim(selector)
    except UsageError as problem:
        raise pytest.fail.Exception(str(problem), pytrace=False) from None


@pytest.fixture
def attack_suite(request: pytest.FixtureRequest) -> Any:
    """One attack of the suite, a test each; `robustness.check` takes it without being told."""
    return request.param


@pytest.fixture
def robustness(request: pytest.FixtureRequest, tmp_path: Path) -> Gate:
    """A robustness gate with the settings of the test's `robustness` marker."""
    marker = request.node.get_closest_marker(MARKER)
    if marker is not None and marker.args:
        pytest.fail("robustness takes keywords only: robustness(attack='deepwordbug', min_accuracy=0.5)", pytrace=False)
    return Gate(
        dict(marker.kwargs) if marker else {},
        tmp_path / "robustness",
        request.node.user_properties,
        request.node.nodeid,
        request.config.stash[OPTIONS],
        attacks_of(request.node),
        lambda: request.getfixturevalue("victim"),
    )
