// The example browser: filters, pages, and what changed word by word. Texts come in by textContent alone.
"use strict";
(() => {
  const byId = (name) => document.getElementById(name);
  const [EXAMPLE, OUTCOME, CLEAN, CLEAN_SHARE, ATTACKED, PREDICTION, SHARE] = [0, 1, 2, 3, 4, 5, 6];
  const [QUERIES, WORDS, TOTAL, EDITS, SIMILARITY, WINNER, ERROR] = [7, 8, 9, 10, 11, 12, 13];
  const MEANING = {
    success: "attack succeeded", failed: "attack failed", skipped: "wrong without an attack",
    settled: "broken by an earlier attack of the cascade", error: "error",
  };
  const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
  const PER_PAGE = 10;

  const make = (tag, text, look) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (look) made.className = look;
    return made;
  };
  const shown = (number) => (number === undefined || number === null ? "-" : String(number));

  // An attacked text from the clean one and its differences (start, length, what stands there now, …), and both as runs:
  // 0 kept, -1 gone, 1 new.
  const runsOf = (clean, changes) => {
    const runs = [];
    let at = 0;
    for (let i = 0; i < changes.length; i += 3) {
      const [start, length, put] = changes.slice(i, i + 3);
      runs.push([0, clean.slice(at, start)], [-1, clean.slice(start, start + length)], [1, put]);
      at = start + length;
    }
    runs.push([0, clean.slice(at)]);
    return runs.filter((run) => run[1] !== "");
  };
  const attackedOf = (clean, changes) => runsOf(clean, changes).filter((run) => run[0] >= 0).map((run) => run[1]).join("");

  const named = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  // A text with its invisible characters named.
  const put = (target, content) => {
    let plain = "";
    const flush = () => { if (plain) target.append(plain); plain = ""; };
    for (const character of content) {
      if (INVISIBLE.test(character) && character !== "\n" && character !== "\t") {
        flush();
        target.append(make("span", named(character), "code"));
      } else plain += character;
    }
    flush();
  };
  const foreign = (clean, attacked) => {
    const known = new Set(clean);
    return [...new Set(attacked)].filter((c) => c > "\x7f" && !known.has(c) && !INVISIBLE.test(c)).map((c) => `${c} ${named(c)}`);
  };
  const side = (name, runs, sign) => {
    const box = make("div");
    const text = make("p");
    text.dir = "auto";
    for (const [kind, part] of runs) {
      if (kind === -sign) continue;
      const mark = kind === 0 ? text : make(sign < 0 ? "del" : "ins");
      put(mark, part);
      if (kind !== 0) text.append(mark);
    }
    box.append(make("h4", name), text);
    return box;
  };

  let data = null;
  let found = [];
  let at = 0;
  const controls = ["example-defense", "example-attack", "example-outcome", "example-search"].map(byId);
  const [defense, attack, outcome, search] = controls;
  const label = (number) => (number === undefined || number === null ? "no prediction" : data.labels[number] ?? `class ${number}`);
  const percent = (share) => (share === undefined || share === null ? "" : ` ${(100 * share).toFixed(1)} %`);

  const article = ([cell, row]) => {
    const [id, original, gold] = data.examples[row[EXAMPLE]];
    const clean = data.texts[original];
    const known = row[ATTACKED] !== undefined && row[ATTACKED] !== null;
    const attacked = known ? attackedOf(clean, row[ATTACKED]) : clean;
    const box = make("article", undefined, "example");
    const head = make("h3", `${label(gold)}, predicted ${label(row[CLEAN])}${percent(row[CLEAN_SHARE])}`);
    if (known) head.append(` → ${label(row[PREDICTION])}${percent(row[SHARE])}`);
    const name = data.outcomes[row[OUTCOME]];
    head.append(" ", make("span", MEANING[name] ?? name, `outcome ${name}`));
    const pair = make("div", undefined, "pair");
    if (known) {
      const runs = runsOf(clean, row[ATTACKED]);
      pair.append(side("clean", runs, -1), side("attacked", runs, 1));
    } else pair.append(side("clean", [[0, clean]], -1));
    const facts = [`${cell.defense} × ${cell.attack}`, `queries ${shown(row[QUERIES])}`];
    if (row[WORDS] !== undefined && row[WORDS] !== null) facts.push(`words changed ${row[WORDS]} of ${shown(row[TOTAL])}`, `characters ${shown(row[EDITS])}`);
    if (known) {
      const odd = foreign(clean, attacked);
      if (odd.length) facts.push(`new characters ${odd.slice(0, 12).join(", ")}${odd.length > 12 ? ", …" : ""}`);
    }
    if (row[SIMILARITY] !== undefined && row[SIMILARITY] !== null) facts.push(`similarity ${row[SIMILARITY]}`);
    if (row[WINNER] !== undefined && row[WINNER] !== null && data.texts[row[WINNER]] !== cell.name) facts.push(`broken by ${data.texts[row[WINNER]]}`);
    if (row[ERROR] !== undefined && row[ERROR] !== null) facts.push(data.texts[row[ERROR]]);
    const link = make("a", `example ${id}`);
    link.href = `#example=${encodeURIComponent(id)}`;
    const line = make("p", undefined, "muted small");
    line.append(link, ` · ${facts.join(" · ")}`);
    box.append(head, pair, line);
    return box;
  };

  const draw = () => {
    const pages = Math.max(Math.ceil(found.length / PER_PAGE), 1);
    at = Math.min(Math.max(at, 0), pages - 1);
    const part = found.slice(at * PER_PAGE, (at + 1) * PER_PAGE);
    byId("example-list").replaceChildren(...part.map(article));
    const first = at * PER_PAGE + 1;
    byId("example-count").textContent = found.length
      ? `${first.toLocaleString("en")}–${(first + part.length - 1).toLocaleString("en")} of ${found.length.toLocaleString("en")} examples`
      : "No example is like that; choose otherwise above.";
    byId("example-page").value = String(at + 1);
    byId("example-page").max = String(pages);
    byId("example-pages").textContent = `of ${pages.toLocaleString("en")}`;
    byId("example-back").disabled = at === 0;
    byId("example-on").disabled = at === pages - 1;
  };

  const select = () => {
    const wanted = search.value.trim().toLowerCase();
    const clean = (row) => data.texts[data.examples[row[EXAMPLE]][1]];
    const holds = (row) => clean(row).toLowerCase().includes(wanted) || data.examples[row[EXAMPLE]][0].toLowerCase().startsWith(wanted)
      || (row[ATTACKED] ? attackedOf(clean(row), row[ATTACKED]).toLowerCase().includes(wanted) : false);
    const number = outcome.value === "" ? -1 : data.outcomes.indexOf(outcome.value);
    found = [];
    for (const cell of data.cells) {
      if (defense.value !== "" && cell.defense !== defense.value) continue;
      if (attack.value !== "" && cell.name !== attack.value) continue;
      for (const row of cell.rows) {
        if (number >= 0 && row[OUTCOME] !== number) continue;
        if (wanted && !holds(row)) continue;
        found.push([cell, row]);
      }
    }
    at = 0;
    draw();
  };

  const start = () => {
    data = JSON.parse(byId("example-data").textContent);
    byId("example-data").remove(); // the text isn't needed twice
    let waiting = 0;
    for (const control of [defense, attack, outcome]) control.addEventListener("change", select);
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 150); });
    const turn = (page) => { at = page; draw(); };
    byId("example-back").addEventListener("click", () => turn(at - 1));
    byId("example-on").addEventListener("click", () => turn(at + 1));
    byId("example-page").addEventListener("change", (event) => turn(Math.trunc(Number(event.target.value) || 1) - 1));
    for (const cell of document.querySelectorAll("button[data-shows]")) {
      cell.addEventListener("click", () => {
        defense.value = cell.dataset.defense;
        attack.value = cell.dataset.attack;
        outcome.value = "success";
        search.value = "";
        select();
        byId("examples").scrollIntoView();
        byId("example-list").focus({ preventScroll: true });
      });
    }
    // A link to report.html#example=ID shows that example under every attack.
    const linked = () => {
      const [, id] = /^#example=(.+)$/.exec(location.hash) ?? [];
      if (id === undefined) return false;
      for (const control of [defense, attack, outcome]) control.value = "";
      search.value = decodeURIComponent(id);
      select();
      byId("examples").scrollIntoView();
      return true;
    };
    addEventListener("hashchange", linked);
    if (!linked()) select();
    document.documentElement.dataset.ready = "";
  };
  requestAnimationFrame(() => setTimeout(start)); // the tables are seen before the texts are read
})();
