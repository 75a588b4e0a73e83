// Elements and numbers. Text from the run reaches the page through text nodes and safe attributes alone.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

const el = (tag, props, ...children) => fill(document.createElement(tag), props, children);
const shape = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const finite = (value) => typeof value === "number" && Number.isFinite(value);

function grouped(text) {
  const [whole, rest] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (rest === undefined ? "" : "." + rest);
}

// Four significant digits, thousands separated.
function short(value) {
  if (value === null || value === undefined) return "?";
  if (!finite(value)) return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return grouped(String(value));
  if (size >= 1e-3 && size < 1e6) return grouped(value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size)))));
  return String(Number(value.toPrecision(4)));
}

// The run's own digits: up to six significant ones.
function exact(value) {
  if (!finite(value)) return short(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return grouped(String(value));
  return String(Number(value.toPrecision(6)));
}

// A number on an axis: short, with k and M.
function tick(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return String(Number(value.toPrecision(4)));
  if (size >= 1e6) return Number((value / 1e6).toPrecision(6)) + "M";
  if (size >= 1e4) return Number((value / 1e3).toPrecision(6)) + "k";
  return Number.isInteger(value) ? grouped(String(value)) : String(Number(value.toPrecision(6)));
}

function duration(seconds) {
  if (!finite(seconds)) return "?";
  for (const [size, unit] of [[3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) {
      return (seconds >= 10 * size ? grouped((seconds / size).toFixed(0)) : (seconds / size).toFixed(1)) + " " + unit;
    }
  }
  return seconds.toFixed(0) + " s";
}

const plural = (count, word) => `${grouped(String(count))} ${word}${count === 1 ? "" : "s"}`;

function listed(names) {
  const shown = names.length <= 4 ? names : [...names.slice(0, 3), `${names.length - 3} more`];
  return shown.length === 1 ? shown[0] : shown.slice(0, -1).join(", ") + " and " + shown[shown.length - 1];
}

// Remembered between visits where the browser allows it (a file opened from a disk often may not).
const memory = {
  get(key) { try { return localStorage.getItem("runvet-" + key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem("runvet-" + key, value); } catch { /* not remembered */ } },
};
