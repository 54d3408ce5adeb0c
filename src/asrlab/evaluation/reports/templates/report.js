"use strict";
// Sorting of the tables in the page, and the table of all utterances. Texts only ever become text nodes.
(() => {
  const byId = (id) => document.getElementById(id);
  const make = (name, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };
  const order = new Intl.Collator(undefined, { numeric: true }).compare;
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : order(String(a), String(b)));

  // Turn each header into a button. The first press sorts numbers from the highest, and texts from A.
  const sortable = (heads, sort) => {
    heads.forEach((head, column) => {
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = head.classList.contains("num") ? "descending" : "ascending";
        const second = first === "descending" ? "ascending" : "descending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", before === first ? second : first);
        sort(column, before === first ? second : first);
      });
    });
  };

  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    sortable([...table.tHead.rows[0].cells], (column, direction) => {
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      rows.sort(([a], [b]) => sign * compare(a, b));
      body.append(...rows.map(([, row]) => row));
    });
  }

  // The table of all utterances, from the data in a script element, fifty rows at a time.
  const PAGE = 50;
  const { systems, rows } = JSON.parse(byId("data").textContent);
  if (!rows.length) return;
  const table = byId("utterance-table");
  const body = table.tBodies[0];
  const lower = (text) => (text ?? "").toLowerCase();
  const haystacks = new Map();
  const haystack = (row) => {
    if (!haystacks.has(row)) {
      const texts = row[5].map((outcome) => outcome[3]);
      haystacks.set(row, [row[0], row[1], row[4], ...texts].map(lower).join("\n"));
    }
    return haystacks.get(row);
  };
  const filters = {
    all: () => true,
    errors: (row) => row[5].some((outcome) => outcome[0] > 0),
    differ: (row) => row[5].some((outcome) => outcome[0] !== row[5][0][0]),
    findings: (row) => row[5].some((outcome) => outcome[5].length > 0),
  };
  let view = rows;
  let page = 0;

  const cellValue = (row, column) => {
    if (column < 4) return row[column];
    const outcome = row[5][Math.floor((column - 4) / 2)];
    return (column - 4) % 2 ? outcome[2] : outcome[0];
  };
  let sorting = null;
  const sorted = (list) => {
    if (!sorting) return list;
    const sign = sorting.direction === "ascending" ? 1 : -1;
    const keyed = list.map((row) => [cellValue(row, sorting.column), row]);
    // Unknown values come last in both directions.
    keyed.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : sign * compare(a, b)));
    return keyed.map(([, row]) => row);
  };

  const hidden = (text) => make("span", { className: "vh" }, text);
  const words = (outcome, language) => {
    const line = make("span", { className: "diff", dir: "auto" });
    if (language) line.lang = language;
    const [, , , text, different] = outcome;
    if (!different) {
      line.append(text === null ? "(failed)" : text === "" ? "(nothing)" : text);
      return line;
    }
    different.forEach((part, index) => {
      if (index) line.append(" ");
      if (typeof part === "string") return void line.append(part);
      const [reference, hypothesis] = part;
      if (reference) line.append(make("del", {}, hidden("missing: "), reference, hidden(", ")));
      if (reference && hypothesis) line.append(" ");
      if (hypothesis) line.append(make("ins", {}, hidden("inserted: "), hypothesis, hidden(", ")));
    });
    return line;
  };
  const keys = [...document.querySelectorAll("#utterance-table thead .key")].filter((_, index) => index % 2 === 0);
  const opened = (row) => {
    const list = make("dl", { className: "texts" });
    const add = (label, content) => list.append(make("div", {}, make("dt", {}, ...label), make("dd", {}, ...content)));
    const reference = make("span", { dir: "auto" }, row[4] ?? "(none)");
    if (row[2]) reference.lang = row[2];
    add(["reference"], [reference]);
    row[5].forEach((outcome, index) => {
      const tags = outcome[5].flatMap((finding) => [" ", make("span", { className: "tag" }, finding)]);
      const name = make("bdi", { className: "name" }, systems[index]);
      add([keys[index].cloneNode(true), " ", name], [words(outcome, row[2]), ...tags]);
    });
    const cell = make("td", { colSpan: 4 + 2 * systems.length }, list);
    return make("tr", { className: "opened" }, cell);
  };
  const text = (content, className = "") => make("td", { className }, make("bdi", {}, content ?? "–"));
  table.classList.toggle("no-speakers", rows.every((row) => row[1] === null));
  const figure = (content) => make("td", { className: "num" }, content);
  const line = (row) => {
    const button = make("button", { type: "button", className: "more" }, make("bdi", {}, row[0]));
    button.setAttribute("aria-expanded", "false");
    const head = make("th", { scope: "row" }, button);
    const tableRow = make("tr", {}, head, text(row[1], "speaker"), text(row[2]), figure(row[3] === null ? "–" : row[3].toFixed(1)));
    for (const [errors, total, seconds, , , findings] of row[5]) {
      const cell = figure(errors === null ? "–" : `${errors}/${total}`);
      if (findings.length) cell.append(" ", make("span", { className: "tag" }, "!", hidden(` ${findings.join(", ")}`)));
      if (errors === 0) cell.classList.add("right");
      tableRow.append(cell, figure(seconds === null ? "–" : seconds.toFixed(2)));
    }
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) tableRow.nextSibling.remove();
      else tableRow.after(opened(row));
    });
    return tableRow;
  };

  const draw = () => {
    const last = Math.max(0, Math.ceil(view.length / PAGE) - 1);
    page = Math.min(Math.max(page, 0), last);
    const from = page * PAGE;
    body.replaceChildren(...view.slice(from, from + PAGE).map(line));
    const to = Math.min(from + PAGE, view.length);
    byId("page").textContent = view.length ? `${from + 1} to ${to} of ${view.length}` : "none";
    byId("first").disabled = byId("previous").disabled = page === 0;
    byId("next").disabled = byId("last").disabled = page === last;
  };
  const select = () => {
    const wanted = lower(byId("find").value).split(/\s+/).filter(Boolean);
    const only = filters[byId("only").value];
    const language = byId("language").value;
    const fits = (row) =>
      only(row) && (!language || row[2] === language) && wanted.every((word) => haystack(row).includes(word));
    view = sorted(rows.filter(fits));
    page = 0;
    byId("shown").textContent = `${view.length} of ${rows.length} utterances`;
    draw();
  };

  const languages = [...new Set(rows.map((row) => row[2]).filter(Boolean))].sort();
  byId("language").append(...languages.map((name) => make("option", { value: name }, name)));
  byId("language-label").hidden = languages.length < 2;
  byId("only").querySelector("[value=differ]").hidden = systems.length < 2;
  sortable([...table.tHead.rows[0].cells], (column, direction) => {
    sorting = { column, direction };
    select();
  });
  let waiting = 0;
  byId("find").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(select, 120);
  });
  for (const id of ["only", "language"]) byId(id).addEventListener("change", select);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  const turn = (id, to) => byId(id).addEventListener("click", () => { page = to(); draw(); });
  turn("first", () => 0);
  turn("previous", () => page - 1);
  turn("next", () => page + 1);
  turn("last", () => Infinity);
  for (const id of ["filters", "utterances-box", "pages"]) byId(id).hidden = false;
  select();
})();
