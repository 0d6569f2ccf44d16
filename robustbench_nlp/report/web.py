"""The report as a web page: one file without a network that holds the tables, the curves and every example of a run."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from robustbench_nlp.recorded import Cell
from robustbench_nlp.report import page
from robustbench_nlp.report.charts import (
    Chart,
    Heat,
    floor_of,
    heat,
    noise_charts,
    query_charts,
    word_charts,
)
from robustbench_nlp.report.examples import OUTCOMES, examples
from robustbench_nlp.report.page import Column, Row, Value, breakable, escaped
from robustbench_nlp.report.shown import caption, headline, marked, percent
from robustbench_nlp.report.svg import chart, interval, legend, numbers
from robustbench_nlp.report.table import REDUCTION, WORST_CASE, is_incomplete, robust_if_errors_right
from robustbench_nlp.report.valid import valid_tables

__all__ = ["web"]

_COLUMNS = (
    Column("defense"),
    Column("attack"),
    Column("clean %", number=True, about="share that is right without an attack"),
    Column("robust % [95 %]", number=True, about="share that is right without an attack and under it"),
    Column("0–100 %", sorts=False),
    Column("ASR %", number=True, low=True, about="attack success rate: successes / attempted"),
    Column("queries", number=True, about="mean per attempted example"),
    Column("words", number=True, about="changed, mean per success"),
    Column("similarity", number=True, about="mean per success"),
    Column("errors", number=True, low=True),
    Column("robust % if errors right", number=True, about="had every example that ended in an error stayed right"),
)
_ERRORS = 2
"""The last columns, which only a table with errors has."""


def web(frame: pd.DataFrame, cells: Sequence[Cell], valid: pd.DataFrame) -> str:
    """The page. `frame` is the table of `cells`, whose `attrs` hold the run's warnings (`flags`; absent: not known); `valid` is what
    `rechecked` says of them."""
    first = frame.iloc[0]
    parts: dict[str, tuple[str, str]] = {"summary": ("Results", _summary(frame))}
    if not valid.empty:
        parts["valid"] = ("Valid successes", valid_tables(valid))
    searched, worded, noisy = query_charts(frame, cells), word_charts(frame, cells), noise_charts(frame)
    if searched:
        parts["queries"] = ("Accuracy against queries", _charts(searched, _BY_QUERIES))
    if worded:
        parts["words"] = ("Accuracy against changed words", _charts(worded, _BY_WORDS))
    if noisy:
        parts["noise"] = ("Accuracy against noise", _charts(noisy, _BY_NOISE))
    if (made := heat(frame)).attacks:
        parts["heat"] = ("Attacks × defenses", _heat(made))
    shown = examples(cells)
    parts["examples"] = (
        "Examples",
        _left_out(len(shown["examples"]), max(len(cell.records) for cell in cells)) + _browser(frame),
    )
    parts["about"] = ("How it was made", _about(cells))
    return page.page(
        f"{first['victim']} on {first['dataset']}: robustness",
        "\n".join(page.section(name, title, body) for name, (title, body) in parts.items()),
        data={"example-data": shown},
        links={name: _LINKS.get(name, title) for name, (title, _) in parts.items()},
        styles=[page.asset("report.css")],
        scripts=[page.asset("examples.js")],
    )


_LINKS = {
    "valid": "Valid",
    "queries": "Queries",
    "words": "Words",
    "noise": "Noise",
    "heat": "Heat map",
    "about": "About",
}
_BY_QUERIES = (
    "The share of all examples that is right at each budget of queries, the clean prediction being the first; exact where an "
    "attack's path doesn't depend on its budget."
)
_BY_WORDS = (
    "The share of all examples that is right where only successes with so many changed words count: an upper bound, since no "
    "attack looked for fewer."
)
_BY_NOISE = (
    "The share of all examples that is right without noise and under it, by severity; the mean where several seeds ran."
)


def _summary(frame: pd.DataFrame) -> str:
    bare = frame.copy(deep=False)
    bare.attrs = {**frame.attrs, "flags": []}
    lines = caption(bare)
    doubts = [line for line in lines if line.startswith("Incomplete")]
    doubts += [str(flag) for flag in frame.attrs.get("flags", ())]
    told = marked(frame).assign(if_errors_right=robust_if_errors_right(frame), incomplete=is_incomplete(frame))
    rows = sorted(told.to_dict("records"), key=lambda row: not str(row["attack"]).startswith(WORST_CASE))
    measured = [row for row in rows if row["mode"] != REDUCTION]
    with_errors = bool((frame["errors"] > 0).any())
    columns = _COLUMNS if with_errors else _COLUMNS[:-_ERRORS]
    made = [_row(row, frame, len(columns)) for row in measured]
    title = f"{frame.iloc[0]['victim']} on {frame.iloc[0]['dataset']}: accuracy without and under each attack; headings sort"
    key = "Bars: 0 to 100 %; dot and line: robust accuracy and its interval; tick: clean accuracy; dotted: a constant answer."
    notes = "".join(f"<li>{escaped(line)}</li>" for line in [key, *lines] if line not in doubts)
    return f'{_doubts(doubts, "flags" in frame.attrs)}{page.table("results", title, columns, made) if made else ""}<ul class="notes">{notes}</ul>'


def _doubts(lines: Sequence[str], known: bool) -> str:
    """The warnings, which nobody should overlook."""
    if not lines:
        return f'<p class="muted">{"No warnings." if known else "Whether the run gave warnings isn’t recorded."}</p>'
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    title = "1 warning" if len(lines) == 1 else f"{len(lines)} warnings"
    return f'<div class="warnings" role="note" aria-label="Warnings"><strong>⚠ {title}</strong><ul>{items}</ul></div>'


def _row(row: Mapping[Hashable, Any], frame: pd.DataFrame, width: int) -> Row:
    attack = str(row["attack"])
    known = not pd.isna(row["robust_accuracy"])
    robust = f"{percent(row['robust_accuracy'])} [{percent(row['robust_low'])}–{percent(row['robust_high'])}]"
    robust += " ≈" if row["tied"] else ""
    name = breakable(headline(attack) + ("\u00a0†" if row.get("known") is True else ""))
    worst = attack.startswith(WORST_CASE)
    ends = (row["robust_low"], row["robust_accuracy"], row["robust_high"], row["clean_accuracy"])
    values = [
        Value("", markup=breakable(str(row["defense"]))),
        Value("", markup=f"<em>{name}</em>" if worst else name),
        _number(row["clean_accuracy"], 100),
        Value(
            robust if known else "-",
            float(row["robust_accuracy"]),
            f"<strong>{robust}</strong>" if row["best"] else None,
        ),
        Value("", markup=interval(*ends, floor_of(frame)) if known else ""),
        _number(row["attack_success_rate"], 100),
        _number(row["queries_mean"]),
        _number(row["words_changed_mean"]),
        _number(row["similarity_mean"], 1, 2),
        Value(f"{row['errors']}{' (!)' if row['incomplete'] else ''}", float(row["errors"])),
        _number(row["if_errors_right"], 100),
    ]
    return Row(values[:width], headline=worst)


def _number(value: Any, factor: float = 1, digits: int = 1) -> Value:
    return Value("-") if pd.isna(value) else Value(f"{factor * value:.{digits}f}", float(value))


def _charts(made: Sequence[Chart], about: str) -> str:
    labels = list(dict.fromkeys(line.label for drawn in made for line in drawn.lines))
    figures = "\n".join(chart(drawn) for drawn in made)
    tables = "\n".join(map(numbers, made))
    return (
        f'<p class="muted">{escaped(about)}</p>{legend(labels, made[0].floor)}<div class="charts">{figures}</div>'
        f'<details><summary>Numbers<span class="unseen">: accuracy against {escaped(made[0].x_label)}</span></summary>'
        f'<div class="numbers">{tables}</div></details>'
    )


def _heat(made: Heat) -> str:
    heads = "".join(f'<th scope="col">{breakable(headline(attack))}</th>' for attack in made.attacks)
    rows = "\n".join(
        f'<tr><th scope="row">{escaped(defense)}</th>{"".join(_cell(made, defense, attack) for attack in made.attacks)}</tr>'
        for defense in made.defenses
    )
    scale = "".join(f'<li class="h{i}">{10 * i}</li>' for i in range(11))
    below = "" if made.floor is None else f" ▾: at most what a constant answer scores ({percent(made.floor)} %)."
    return (
        f'<p class="muted">Robust accuracy in percent; a cell leads to the examples that its attack broke.{below}</p>'
        '<div class="scroll" tabindex="0" role="group" aria-label="Attacks by defenses"><table class="heat">'
        '<caption class="unseen">Robust accuracy in percent by defense and attack</caption>'
        f'<thead><tr><th scope="col">defense</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<ul class="scale" aria-label="Scale in percent">{scale}</ul>'
    )


def _cell(made: Heat, defense: str, attack: str) -> str:
    share = made.shares.get((defense, attack))
    if share is None:
        return '<td><span class="none">-</span></td>'
    low = made.floor is not None and share <= made.floor
    about = f"examples of {defense} under {headline(attack)}"
    return (
        f'<td><button type="button" class="h{round(10 * share)}" data-shows data-defense="{escaped(defense)}" '
        f'data-attack="{escaped(attack)}">{"▾ " if low else ""}{percent(share)}<span class="unseen"> %, {escaped(about)}</span></button></td>'
    )


def _left_out(shown: int, all_of_them: int) -> str:
    if shown >= all_of_them:
        return ""
    return (
        f'<p class="muted">{shown:,} of {all_of_them:,} examples, by chance; <code>robustbench-nlp report RUN --formats sheet</code> '
        "writes them all into examples.csv.</p>"
    )


def _browser(frame: pd.DataFrame) -> str:
    attacks = list(dict.fromkeys(frame["attack"]))
    chosen = next((name for name in attacks if name.startswith(WORST_CASE)), attacks[0])
    defenses = {str(name): str(name) for name in dict.fromkeys(frame["defense"])}
    outcomes = {name: name for name in OUTCOMES}
    return (
        "<noscript><p>The examples need JavaScript, which this page holds itself.</p></noscript>"
        '<div class="controls" role="search" aria-label="Examples">'
        + _choice("example-defense", "defense", defenses, next(iter(defenses)))
        + _choice("example-attack", "attack", {name: headline(name) for name in attacks}, chosen)
        + _choice("example-outcome", "outcome", outcomes, "success")
        + '<label>text holds or id begins with<input id="example-search" type="search" autocomplete="off"></label></div>'
        '<p id="example-count" role="status"></p>'
        '<nav class="pager" aria-label="Pages of examples"><button type="button" id="example-back" disabled>Back</button>'
        '<label>page <input id="example-page" type="number" min="1" value="1"></label> <span id="example-pages"></span>'
        '<button type="button" id="example-on" disabled>Next</button></nav>'
        '<div id="example-list" tabindex="-1"></div>'
    )


def _choice(name: str, label: str, options: Mapping[str, str], chosen: str) -> str:
    inside = "".join(
        f'<option value="{escaped(value)}"{" selected" if value == chosen else ""}>{escaped(text)}</option>'
        for value, text in options.items()
    )
    return f'<label>{label}<select id="{name}"><option value="">all</option>{inside}</select></label>'


def _about(cells: Sequence[Cell]) -> str:
    """Versions and fingerprints: what a reviewer needs to know that two numbers may be compared."""
    environment: Mapping[str, Any] = cells[0].header.get("environment", {})
    versions = {
        "python": environment.get("python"),
        **environment.get("packages", {}),
        "commit": environment.get("commit"),
    }
    listed = "".join(f"<li>{escaped(name)} {escaped(value)}</li>" for name, value in versions.items() if value)
    columns = [Column(name) for name in ("defense", "attack", "mode", "threat", "queries", "fingerprint")]
    rows = [
        Row(
            [
                Value(str(cell.header.get(name) or "-"))
                for name in ("defense", "attack", "mode", "threat", "max_queries", "fingerprint")
            ]
        )
        for cell in cells
    ]
    return (
        '<p class="muted">Computed from the run’s records alone; <code>robustbench-nlp verify</code> predicts every text again.</p>'
        f'<details><summary>Versions</summary><ul class="notes">{listed}</ul></details>'
        f"<details><summary>Fingerprints</summary>{page.table('fingerprints', 'What each row was measured with', columns, rows)}</details>"
    )
