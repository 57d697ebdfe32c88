"use strict";
// Small means of drawing: elements, numbers, scales, axes, the tip under the pointer.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function shape(parent, name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  parent.append(made);
  return made;
}

// Three significant digits; thousands are set apart.
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e6) return (value / 1e6).toPrecision(3) + "\u00a0M";
  if (size >= 999.5) return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  if (size < 0.0005) return value < 0 ? "\u2212<0.001" : "<0.001";
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
}

function milliseconds(value) {
  if (value === null || value === undefined) return "not there";
  const size = Math.abs(value);
  if (size >= 999.5) return number(value / 1000) + "\u00a0s";
  if (size < 0.9995) return number(value * 1000) + "\u00a0\u00b5s";
  return number(value) + "\u00a0ms";
}

function percent(value) {
  return value === null ? "\u2013" : number(value) + "\u00a0%";
}

// Round ticks between two values.
function ticks(low, high, wanted) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function tickText(value, all) {
  const step = all.length > 1 ? Math.abs(all[1] - all[0]) : Math.abs(value) || 1;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return digits > 6 ? value.toExponential(0) : value.toFixed(digits);
}

function linear(low, high, from, to) {
  const span = high - low || 1;
  const scale = (value) => from + ((value - low) / span) * (to - from);
  scale.back = (at) => low + ((at - from) / (to - from)) * span;
  return scale;
}

function logarithmic(low, high, from, to) {
  const scale = linear(Math.log10(low), Math.log10(high), from, to);
  return (value) => scale(Math.log10(value));
}

// A plot whose drawing is repeated when its width changes.
function plot(label, draw) {
  const figure = element("figure");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  figure.append(svg);
  let drawn = 0;
  const redraw = () => {
    const width = Math.round(figure.clientWidth);
    if (width < 50 || width === drawn) return;
    drawn = width;
    svg.replaceChildren();
    const height = draw(svg, width);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
  };
  figure.redraw = () => { drawn = 0; redraw(); };
  whenResized(figure, redraw);
  return figure;
}

const drawings = [];
function whenResized(node, redraw) {
  drawings.push(redraw);
  new ResizeObserver(redraw).observe(node);
}

function bottomAxis(svg, scale, values, top, bottom, text, digits = null) {
  for (const value of values) {
    shape(svg, "line", { x1: scale(value), x2: scale(value), y1: top, y2: bottom, class: "grid" });
    shape(svg, "text", { x: scale(value), y: bottom + 16, "text-anchor": "middle", class: "axis" },
      digits ? digits(value) : tickText(value, values));
  }
  const [from, to] = [scale.from ?? 0, scale.to ?? 0];
  shape(svg, "text", { x: to, y: bottom + 34, "text-anchor": "end", class: "axis" }, text);
  shape(svg, "line", { x1: from, x2: to, y1: bottom, y2: bottom, class: "base" });
}

function leftAxis(svg, scale, values, left, right, text, digits = null) {
  for (const value of values) {
    shape(svg, "line", { x1: left, x2: right, y1: scale(value), y2: scale(value), class: "grid" });
    shape(svg, "text", { x: left - 7, y: scale(value) + 4, "text-anchor": "end", class: "axis" },
      digits ? digits(value) : tickText(value, values));
  }
  shape(svg, "text", { x: 2, y: 12, class: "axis" }, text);
}

const ruler = document.createElement("canvas").getContext("2d");
function textWidth(text) {
  ruler.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
  return ruler.measureText(text).width;
}

function shortened(text, width) {
  if (textWidth(text) <= width) return text;
  let kept = text;
  while (kept.length > 1 && textWidth(kept + "\u2026") > width) kept = kept.slice(0, -1);
  return kept + "\u2026";
}

const tip = document.getElementById("tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, innerWidth - box.width - 8);
  const below = event.clientY + 16;
  tip.style.left = Math.max(4, x) + "px";
  tip.style.top = (below + box.height > innerHeight ? event.clientY - box.height - 10 : below) + "px";
}
function hideTip() { tip.hidden = true; }

function hover(node, text) {
  node.addEventListener("pointermove", (event) => showTip(event, typeof text === "function" ? text(event) : text));
  node.addEventListener("pointerleave", hideTip);
}

function legend(names, colours) {
  return element("ul", { class: "legend" }, ...names.map((name, i) =>
    element("li", {}, element("i", { style: `background:${colours[i]}` }), name)));
}

function choice(label, options, choose) {
  const buttons = options.map((option, i) => element("button", {
    type: "button", "aria-pressed": i === 0 ? "true" : "false",
    onclick: () => {
      buttons.forEach((button, k) => button.setAttribute("aria-pressed", k === i ? "true" : "false"));
      choose(i);
    },
  }, option));
  return element("div", { class: "tools", role: "group", "aria-label": label }, label + ":", ...buttons);
}
