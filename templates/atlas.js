// Sorting, filtering and saving tables; the search box. Every page is whole without it.
"use strict";

const root = document.currentScript.dataset.root;
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const MOST_FOUND = 20;

function valueOf(cell) {
  return cell.dataset.v ?? cell.textContent.trim();
}

function isEmpty(value) {
  return value === "" || value === "–";
}

function compare(a, b, numeric) {
  if (isEmpty(a) || isEmpty(b)) return isEmpty(a) - isEmpty(b);
  return numeric ? Number(a) - Number(b) : collator.compare(a, b);
}

function sortBy(table, index, heading) {
  const numeric = heading.classList.contains("n");
  const before = heading.getAttribute("aria-sort");
  const descending = before ? before === "ascending" : numeric;
  const rows = [...table.tBodies[0].rows];
  const key = numeric ? valueOf : (cell) => cell.textContent.trim(); // names as they are read, not the ids behind them
  rows.sort((a, b) => {
    const [x, y] = [key(a.cells[index]), key(b.cells[index])];
    return isEmpty(x) || isEmpty(y) || !descending ? compare(x, y, numeric) : compare(y, x, numeric);
  });
  table.tBodies[0].append(...rows);
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, index, heading));
    heading.append(button);
  });
}

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// A text that a spreadsheet would take for a formula, behind an apostrophe; numbers are left as they are.
function harmless(text, cell) {
  return /^[=+\-@\t\r]/.test(text) && !cell.classList.contains("n") ? `'${text}` : text;
}

// A fact is its name, and its id in a column of its own.
function csvOf(table) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const head = names.flatMap((name) => (name === "fact" ? [name, "fact id"] : [quoted(name)]));
  const field = (text, cell) => quoted(isEmpty(text) ? "" : harmless(text, cell));
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => [...row.cells].flatMap((cell, n) =>
    [...(names[n] === "fact" ? [cell.textContent.trim()] : []), valueOf(cell)].map((text) => field(text, cell))));
  return [head, ...rows].map((row) => row.join(",")).join("\r\n") + "\r\n";
}

function save(table) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", csvOf(table)], { type: "text/csv;charset=utf-8" }));
  link.download = `${table.dataset.name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function filter(table, text, count) {
  const words = fold(text).split(" ").filter(Boolean);
  const rows = [...table.tBodies[0].rows];
  let kept = 0;
  for (const row of rows) {
    const whole = fold(row.textContent);
    row.hidden = !words.every((word) => whole.includes(word));
    kept += !row.hidden;
  }
  count.textContent = words.length ? `${kept} of ${rows.length} rows` : "";
}

function addTools(table) {
  const tools = document.createElement("div");
  tools.className = "tools";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Save CSV";
  button.addEventListener("click", () => save(table));
  if (table.tBodies[0].rows.length > 8) {
    const input = document.createElement("input");
    const count = document.createElement("span");
    input.type = "search";
    input.placeholder = "Filter rows";
    input.setAttribute("aria-label", `Filter rows of ${table.parentElement.getAttribute("aria-label")}`);
    count.className = "count";
    count.setAttribute("role", "status");
    input.addEventListener("input", () => filter(table, input.value, count));
    tools.append(input, count);
  }
  tools.prepend(button);
  table.parentElement.before(tools);
}

// Text without case, accents and marks of direction, so that words are found however they are typed.
function fold(text) {
  return text.normalize("NFKD").replace(/[\p{Mn}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "").toLowerCase()
    .replace(/\s+/g, " ").trim();
}

let index = null;
window.atlasIndex = (given) => {
  index = given.pages.map(([address, kind, title, names]) => ({
    address, kind, title, words: fold(`${title} ${names}`),
  }));
  index.neurons = new Map(given.neurons.map(([layer, neurons]) => [layer, new Set(neurons)]));
};

function loadIndex(then) {
  if (index) return then();
  const script = document.createElement("script");
  script.src = `${root}search.js`;
  script.addEventListener("load", then);
  document.head.append(script);
}

function neuronsLike(text) {
  const found = /^(?:l|layer)?\s*(\d+)\D+(\d+)$/.exec(fold(text));
  if (!found) return [];
  const [layer, neuron] = found.slice(1).map(Number);
  if (!index.neurons.get(layer)?.has(neuron)) return [];
  return [{ address: `neurons/${layer}/${neuron}.html`, kind: "neuron", title: `Layer ${layer}, neuron ${neuron}` }];
}

function search(text) {
  const words = fold(text).split(" ").filter(Boolean);
  if (!words.length) return [];
  const pages = index.filter((page) => words.every((word) => page.words.includes(word)));
  pages.sort((a, b) => b.words.startsWith(words[0]) - a.words.startsWith(words[0]));
  return [...neuronsLike(text), ...pages].slice(0, MOST_FOUND);
}

function entry(page, number) {
  const item = document.createElement("li");
  const title = document.createElement("bdi");
  const kind = document.createElement("span");
  item.id = `found-${number}`;
  item.setAttribute("role", "option");
  item.dataset.href = root + page.address;
  title.textContent = page.title;
  kind.className = "kind";
  kind.textContent = page.kind;
  item.append(title, kind);
  item.addEventListener("mousedown", (event) => event.preventDefault());
  item.addEventListener("click", () => { location.href = item.dataset.href; });
  return item;
}

function setUpSearch(form) {
  const input = form.querySelector("input");
  const list = document.createElement("ul");
  let chosen = -1;
  list.className = "found";
  list.id = "found";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Pages found");
  list.hidden = true;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-controls", "found");
  input.setAttribute("aria-expanded", "false");
  form.append(list);
  form.hidden = false;

  const choose = (number) => {
    const items = list.querySelectorAll("[role=option]");
    chosen = items.length ? (number + items.length) % items.length : -1;
    items.forEach((item, n) => item.setAttribute("aria-selected", n === chosen));
    if (chosen < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", items[chosen].id);
    items[chosen].scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const show = () => loadIndex(() => {
    const pages = search(input.value);
    list.replaceChildren(...pages.map(entry));
    if (!pages.length && input.value.trim()) {
      const none = document.createElement("li");
      none.className = "none";
      none.setAttribute("role", "option");
      none.setAttribute("aria-disabled", "true");
      none.textContent = "Nothing found";
      list.append(none);
    }
    list.hidden = !list.children.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    choose(0);
  });
  input.addEventListener("input", show);
  input.addEventListener("focus", () => loadIndex(() => {}));
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return show();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape") {
      close();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (list.hidden) return show(); // what nobody sees is not followed
    const item = list.querySelectorAll("[role=option]")[Math.max(chosen, 0)];
    if (item?.dataset.href) location.href = item.dataset.href;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    }
  });
}

for (const table of document.querySelectorAll("table")) {
  makeSortable(table);
  addTools(table);
}
setUpSearch(document.querySelector("form.search"));
