// The leaderboard's filters: each choice leaves the rankings, rows and entries that have its value; a constant answer stays.
"use strict";
(() => {
  const choices = [...document.querySelectorAll("select[data-board]")];
  const fits = (element) =>
    choices.every((select) => {
      if (select.value === "") return true;
      const held = element.dataset[select.dataset.board];
      return held === undefined || held.split(" ").includes(select.value);
    });
  const told = document.getElementById("told");
  const none = document.getElementById("none");
  const filter = () => {
    let shown = 0;
    for (const section of document.querySelectorAll("section[id^=ranking-]")) {
      const rows = [...section.querySelectorAll("tbody tr")].filter((row) => row.dataset.entry !== undefined);
      for (const row of rows) row.hidden = !fits(row);
      const left = rows.filter((row) => !row.hidden).length;
      section.hidden = left === 0;
      const link = document.querySelector(`nav a[href="#${section.id}"]`);
      if (link) link.parentElement.hidden = left === 0;
      shown += left;
    }
    for (const article of document.querySelectorAll("article[data-entry]")) article.hidden = !fits(article);
    none.hidden = shown > 0;
    told.textContent = shown === 1 ? "1 entry." : `${shown} entries.`;
  };
  for (const select of choices) select.addEventListener("change", filter);
})();
