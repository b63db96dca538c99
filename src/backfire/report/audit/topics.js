"use strict";
(() => {
  const table = document.querySelector("#topics table");
  if (!table) return;
  const groups = () => [...table.tBodies];
  for (const body of groups()) {
    const head = body.rows[0], name = head.cells[0], cells = [...body.rows].slice(1);
    if (!cells.length) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "unfold";
    button.append(...name.querySelector(".words").childNodes);
    name.querySelector(".words").replaceChildren(button);
    const fold = open => {
      button.setAttribute("aria-expanded", String(open));
      for (const row of cells) row.hidden = !open;
    };
    fold(false);
    button.addEventListener("click", () => fold(button.getAttribute("aria-expanded") !== "true"));
  }
  const columns = [...table.tHead.rows[0].cells];
  const value = (body, place) => {
    const text = body.rows[0].cells[place].dataset.value;
    return text === undefined || text === "" ? null : place === 0 ? text : Number(text);
  };
  columns.forEach((column, place) => {
    if (!column.classList.contains("sortable")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...column.childNodes);
    column.append(button);
    button.addEventListener("click", () => {
      const up = column.getAttribute("aria-sort") === "descending" || (place === 0 && !column.hasAttribute("aria-sort"));
      for (const other of columns) other.removeAttribute("aria-sort");
      column.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = groups().map((body, at) => [value(body, place), at, body]).sort(([a, i], [b, j]) => {
        if (a === null || b === null) return (a === null) - (b === null) || i - j;
        const less = typeof a === "string" ? a.localeCompare(b) : a - b;
        return (up ? less : -less) || i - j;
      });
      table.append(...order.map(([, , body]) => body));
    });
  });
})();
