// What every page can do: change its theme, sort its tables, filter their rows.
"use strict";
(() => {
  const root = document.documentElement;
  const told = document.getElementById("told");
  const tell = (text) => { told.textContent = text; };

  // Theme: the system's until the reader chooses; a page from a file may have no storage.
  const store = {
    get: () => { try { return localStorage.getItem("robustbench-nlp-theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("robustbench-nlp-theme", theme); } catch { /* then for this visit only */ } },
  };
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => { button.textContent = dark() ? "Light theme" : "Dark theme"; };
  const stored = store.get();
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    store.set(root.dataset.theme);
    name();
  });
  system.addEventListener("change", name);
  name();

  // Sorting: a column of numbers has keys in data-key; what has none comes last either way.
  const key = (row, column) => {
    const cell = row.cells[column];
    if (!("key" in cell.dataset)) return cell.textContent.trim();
    return cell.dataset.key === "" ? null : Number(cell.dataset.key);
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const sort = (table, head) => {
    const direction = head.getAttribute("aria-sort") === (head.dataset.first || "ascending")
      ? { ascending: "descending", descending: "ascending" }[head.dataset.first || "ascending"]
      : head.dataset.first || "ascending";
    for (const other of table.tHead.rows[0].cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const column = head.cellIndex;
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort((a, b) => compare(a[0], b[0], sign));
    body.append(...rows.map((row) => row[1]));
    tell(`Sorted by ${head.textContent.trim()}, ${direction}.`);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const head of table.tHead.rows[0].cells) {
      const sorter = head.querySelector("button");
      if (sorter) sorter.addEventListener("click", () => sort(table, head));
    }
  }

  // Filters: <select data-filter="TABLE" data-by="NAME"> leaves the rows whose data-NAME has that value; "" leaves all.
  const filters = [...document.querySelectorAll("select[data-filter]")];
  const filter = (name) => {
    const chosen = filters.filter((select) => select.dataset.filter === name && select.value !== "");
    const rows = [...document.getElementById(name).tBodies[0].rows];
    for (const row of rows) row.hidden = chosen.some((select) => row.dataset[select.dataset.by] !== select.value);
    tell(`${rows.filter((row) => !row.hidden).length} of ${rows.length} rows.`);
  };
  for (const select of filters) select.addEventListener("change", () => filter(select.dataset.filter));
})();
