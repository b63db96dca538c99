"use strict";
(() => {
  const main = document.querySelector("main"), articles = [...document.querySelectorAll("article")];
  const count = document.getElementById("count"), save = document.getElementById("save");
  const store = "backfire decisions " + main.dataset.digest;
  const name = article => article.dataset.row + " " + article.dataset.pair;
  const keys = { 1: "keep", 2: "drop", 3: "swap", 0: null };
  let marks = {};
  try { marks = JSON.parse(localStorage.getItem(store)) || {}; } catch { marks = {}; }

  const show = () => {
    const totals = { keep: 0, drop: 0, swap: 0 };
    for (const article of articles) {
      const mark = marks[name(article)];
      if (mark) totals[mark] += 1;
      for (const button of article.querySelectorAll("[data-mark]"))
        button.setAttribute("aria-pressed", String(button.dataset.mark === mark));
    }
    const marked = totals.keep + totals.drop + totals.swap;
    const parts = Object.entries(totals).filter(([, n]) => n).map(([mark, n]) => mark + " " + n);
    count.textContent = marked ? marked + " of " + articles.length + " marked: " + parts.join(", ") : "No pair is marked.";
    save.disabled = !marked;
  };
  const set = (article, mark) => {
    if (!mark || marks[name(article)] === mark) delete marks[name(article)];
    else marks[name(article)] = mark;
    try { localStorage.setItem(store, JSON.stringify(marks)); } catch { /* the marks last as long as the page is open */ }
    show();
  };
  const write = () => {
    const decisions = articles.filter(article => marks[name(article)]).map(article => ({
      row: Number(article.dataset.row), pair: article.dataset.pair, mark: marks[name(article)],
    }));
    if (!decisions.length) return;
    const file = { backfire_decisions: 1, dataset: main.dataset.dataset, digest: main.dataset.digest, decisions };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1) + "\n"], { type: "application/json" }));
    link.download = "decisions.json";
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const at = () => articles.indexOf(document.activeElement && document.activeElement.closest("article"));
  const go = place => {
    const article = articles[Math.min(Math.max(place, 0), articles.length - 1)];
    if (article) { article.focus(); article.scrollIntoView({ block: "start" }); }
  };

  for (const article of articles)
    for (const button of article.querySelectorAll("[data-mark]"))
      button.addEventListener("click", () => set(article, button.dataset.mark));
  save.addEventListener("click", write);
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const place = at(), article = articles[place];
    if (event.key === "j") go(place + 1);
    else if (event.key === "k") go(place - 1);
    else if (event.key === "s") write();
    else if (article && event.key in keys) set(article, keys[event.key]);
    else if (article && event.key === "o") {
      const folds = [...article.querySelectorAll("details")], open = folds.some(fold => !fold.open);
      for (const fold of folds) fold.open = open;
    } else return;
    event.preventDefault();
  });
  show();
})();
