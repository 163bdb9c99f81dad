"use strict";
// Sort by a column's button, filter by words; without this script everything is still there to read.
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function key(row, column) {
  const cell = row.cells[column];
  const value = cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  return value === "" ? null : value;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return collator.compare(a, b);
}

function sort(table, column, direction) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [key(row, column), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // what is missing stays last
    return direction * compare(a, b);
  });
  body.append(...rows.map(([, row]) => row));
}

for (const listing of document.querySelectorAll(".listing")) {
  const table = listing.querySelector("table");
  const headers = Array.from(table.tHead.rows[0].cells);
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      for (const other of headers) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending ? 1 : -1);
    });
  });
  const rows = Array.from(table.tBodies[0].rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const box = listing.querySelector(".filter");
  const status = box.querySelector("[role=status]");
  const input = box.querySelector("input");
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => texts[i].includes(word));
      shown += !row.hidden;
    });
    status.textContent = `${shown} of ${rows.length}`;
  };
  input.addEventListener("input", filter);
  filter();
  box.hidden = false;
}

let closed = []; // what is folded away is printed too
addEventListener("beforeprint", () => {
  closed = Array.from(document.querySelectorAll("main > section > details:not([open])"));
  for (const details of closed) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of closed) details.open = false;
});

// The figures: what belongs to an estimator has data-s, what a point says is its title.
const marks = new Map();
for (const element of document.querySelectorAll("[data-s]")) {
  const name = element.dataset.s;
  if (!marks.has(name)) marks.set(name, []);
  marks.get(name).push(element);
}
const tip = document.getElementById("tip");
const off = new Set();
let kept = null; // the estimator that a click chose

function light(name) {
  for (const [other, elements] of marks) {
    for (const element of elements) element.classList.toggle("dim", name !== null && other !== name);
  }
}

function toggle(name) {
  if (!off.delete(name)) off.add(name);
  for (const element of marks.get(name)) {
    element.classList.toggle("off", off.has(name));
    if (element.tagName === "BUTTON") element.setAttribute("aria-pressed", String(!off.has(name)));
  }
}

function words(point) {
  const title = point.querySelector("title");
  if (title) { // else the browser would show it beside ours
    point.dataset.t = title.textContent;
    title.remove();
  }
  return point.dataset.t;
}

function hideTip() { tip.hidden = true; }

addEventListener("pointerover", (event) => {
  const point = event.target.closest("circle[data-s]");
  if (!point) return hideTip();
  const panel = point.parentNode.dataset.of;
  tip.textContent = words(point) + (panel ? `\n${panel}` : "");
  tip.hidden = false;
  const at = point.getBoundingClientRect(), size = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(at.right + 6, innerWidth - size.width - 4))}px`;
  tip.style.top = `${Math.max(4, at.top - size.height - 4)}px`;
});
addEventListener("scroll", hideTip, { passive: true, capture: true });

for (const [name, elements] of marks) {
  for (const element of elements) {
    if (element.tagName === "BUTTON") {
      element.addEventListener("click", () => toggle(name));
      element.addEventListener("focus", () => element.matches(":focus-visible") && light(name));
      element.addEventListener("blur", () => light(kept));
    } else {
      element.addEventListener("click", () => light(kept = kept === name ? null : name));
    }
  }
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape") { hideTip(); light(kept = null); }
});
// The slider: squared bias + noise / M, as the page's own numbers for M = 1.
function digits(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e5) return value.toFixed(0);
  if (size >= 1e-3 && size < 1e5) return value.toPrecision(3);
  return value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2").replace("-", "\u2212").replace(".0e", "e");
}

function average(table, draws) {
  const apart = Number(table.dataset.apart);
  const rows = Array.from(table.tBodies[0].rows, (row) => {
    const [b, be, v, ve] = ["b", "be", "v", "ve"].map((name) => Number(row.dataset[name]));
    return { row, b, error: b + v / draws, se: Math.hypot(be, ve / draws) };
  }).sort((one, other) => one.error - other.error);
  const first = rows[0];
  for (const of of rows) {
    const tied = of !== first && of.error - first.error <= apart * Math.hypot(of.se, first.se);
    const ends = [Math.max(of.error - 1.96 * of.se, 0), of.error + 1.96 * of.se];
    of.row.cells[1].textContent = `${tied ? "\u2248 " : ""}${digits(of.error)} [${ends.map(digits).join(", ")}]`;
    of.row.cells[2].textContent = `${((100 * of.b) / (of.error || 1)).toFixed(0)}\u00a0%`;
  }
  table.tBodies[0].append(...rows.map((of) => of.row));
}

for (const slider of document.querySelectorAll(".slider input")) {
  slider.addEventListener("input", () => {
    const draws = 2 ** Number(slider.value);
    slider.parentNode.querySelector("output").textContent = String(draws);
    for (const table of document.querySelectorAll(".averages")) average(table, draws);
  });
}
for (const element of document.querySelectorAll(".howto")) element.hidden = false;
