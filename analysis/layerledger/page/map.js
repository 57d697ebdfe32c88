"use strict";
// The straggler maps: rank or node x iteration, colour = own time over the median of all.

// Blue is faster, white as the median, orange slower.
function deviation(level) {
  const t = Math.min(1, Math.abs(level));
  const end = level < 0 ? [0, 114, 178] : [213, 94, 0];
  return end.map((value) => Math.round(247 + (value - 247) * t ** 0.8));
}

// lines: which rows of the data are shown, from above; name(line): what stands at its left;
// what(lines): how the tip calls them; group(line): a thin line parts neighbours that differ in it.
function heatMap(label, data, { name, what, group, pick = null, axis }) {
  const columns = data.shape[1];
  const levels = Int8Array.from(atob(data.cells), (char) => char.charCodeAt(0));
  let lines = data.names.map((_, i) => i);
  const figure = element("figure");
  const canvas = element("canvas", { role: "img", "aria-label": label, style: pick ? "cursor:pointer" : null });
  figure.append(canvas);
  const [top, below] = [8, 44];
  let left = 52;
  const height = () => Math.round(Math.max(48, Math.min(440, lines.length * Math.max(2, Math.min(26, 440 / lines.length)))));

  // Cells that are smaller than a pixel are merged: what deviates most is kept.
  const merged = (down, across) => {
    const [rows, cells] = [Math.ceil(lines.length / down), Math.ceil(columns / across)];
    const kept = new Int8Array(rows * cells);
    lines.forEach((line, i) => {
      for (let column = 0; column < columns; column++) {
        const at = Math.floor(i / down) * cells + Math.floor(column / across);
        const level = levels[line * columns + column];
        if (Math.abs(level) > Math.abs(kept[at])) kept[at] = level;
      }
    });
    return [rows, cells, kept];
  };
  const steps = (width) => [Math.ceil(lines.length / (height() / 2)), Math.ceil(columns / Math.max(1, width - left - 8))];

  const redraw = () => {
    const width = figure.clientWidth;
    if (width < 60) return;
    const tall = height(), ratio = devicePixelRatio || 1;
    const every = Math.ceil(lines.length / Math.floor(tall / 15));
    const labelled = lines.filter((_, i) => i % every === 0);
    left = Math.min(0.3 * width, Math.max(...labelled.map((line) => textWidth(name(line))), 24)) + 14;
    canvas.width = width * ratio;
    canvas.height = (tall + top + below) * ratio;
    canvas.style.height = `${tall + top + below}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const [rows, cells, kept] = merged(...steps(width));
    const image = new ImageData(cells, rows);
    kept.forEach((level, i) => image.data.set([...deviation(level / 127), 255], 4 * i));
    const small = element("canvas", { width: cells, height: rows });
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, left, top, width - left - 8, tall);
    const y = (i) => top + (i / lines.length) * tall;
    pen.strokeStyle = "#8a92a1";
    lines.forEach((line, i) => {
      if (!i || group(line) === group(lines[i - 1])) return;
      const size = lines.filter((other) => group(other) === group(line)).length;
      if ((size / lines.length) * tall < 8) return;
      pen.beginPath();
      pen.moveTo(left, Math.round(y(i)) + 0.5);
      pen.lineTo(width - 8, Math.round(y(i)) + 0.5);
      pen.stroke();
    });
    pen.strokeStyle = "#aab1bd";
    pen.strokeRect(left - 0.5, top - 0.5, width - left - 7, tall + 1);
    pen.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
    pen.fillStyle = "#5b6475";
    pen.textAlign = "right";
    labelled.forEach((line, i) => pen.fillText(shortened(name(line), left - 12), left - 6, y(i * every + 0.5) + 4));
    pen.textAlign = "center";
    const apart = Math.max(1, Math.ceil(columns / Math.max(1, (width - left) / 80)));
    for (let column = 0; column < columns; column += apart) {
      const at = left + ((column + 0.5) / columns) * (width - left - 8);
      const text = String(data.iterations[column]);
      if (at + textWidth(text) / 2 < width) pen.fillText(text, at, top + tall + 16);
    }
    pen.textAlign = "right";
    pen.fillText(`iteration; ${axis} on the left`, width - 8, top + tall + 34);
  };
  whenResized(figure, redraw);

  // [its lines, its columns] under the pointer.
  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const [down, across] = steps(box.width);
    const column = Math.floor(((event.clientX - box.left - left) / (box.width - left - 8)) * columns / across) * across;
    const row = Math.floor(((event.clientY - box.top - top) / height()) * lines.length / down) * down;
    if (column < 0 || column >= columns || row < 0 || row >= lines.length) return null;
    const range = (first, count, end) => Array.from({ length: Math.min(count, end - first) }, (_, i) => first + i);
    return [range(row, down, lines.length).map((i) => lines[i]), range(column, across, columns)];
  };
  canvas.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    if (!cell) return hideTip();
    const [of, at] = cell;
    let level = 0;
    for (const line of of) for (const column of at) {
      const value = levels[line * columns + column];
      if (Math.abs(value) > Math.abs(level)) level = value;
    }
    const first = data.iterations[at[0]], count = at.length * data.rowStep;
    const value = (level / 127) * data.scale * 100;
    showTip(event, `${what(of)}, iteration ${first}${count > 1 ? ` to ${first + count - 1}` : ""}\n` +
      `${value >= 0 ? "+" : ""}${value.toFixed(1)} %${Math.abs(level) === 127 ? " or more" : ""} against the median` +
      (count > 1 || of.length > 1 ? "\nwhat deviates most in this cell" : ""));
  });
  canvas.addEventListener("pointerleave", hideTip);
  if (pick) canvas.addEventListener("click", (event) => { const cell = cellAt(event); if (cell) pick(cell[0][0]); });

  const scale = data.scale * 100;
  const marks = [-1, -0.5, 0, 0.5, 1];
  const key = legend(marks.map((level) => `${level > 0 ? "+" : ""}${(level * scale).toFixed(scale < 10 ? 1 : 0)} %`),
    marks.map((level) => `rgb(${deviation(level)})`));
  const show = (chosen) => { lines = chosen; redraw(); };
  return { key, figure, show };
}

let pickNode = null;

function nodeMap(data) {
  const map = heatMap("Each node's slowest rank in each iteration, against the median node", data, {
    name: (node) => data.names[node], group: () => 0, axis: "node",
    what: (nodes) => (nodes.length > 1 ? `nodes ${data.names[nodes[0]]} to ${data.names[nodes.at(-1)]}` : data.names[nodes[0]]),
    pick: (node) => pickNode?.(node),
  });
  return [map.key, map.figure, element("h3", { style: "margin-top:1rem" }, "Most often with the slowest rank"), dataTable(
    [["node", true], ["ranks"], ["in % of iterations"], ["its slowest rank, ms"], ["against median node, %"]],
    data.slowest.map(([node, ranks, ...numbers]) => [[node], [ranks, String(ranks)], ...numbers.map((value) => [value])]))];
}

function rankMap(data) {
  const several = data.nodes.length > 1;
  const map = heatMap("Each rank's own time in each iteration, against the median of all ranks", data, {
    name: (line) => (several ? `${data.nodes[data.node[line]]} \u00b7 ${data.names[line]}` : String(data.names[line])),
    group: (line) => data.node[line], axis: several ? "node and rank" : "rank",
    what: (lines) => {
      const ranks = lines.map((line) => data.names[line]);
      const nodes = [...new Set(lines.map((line) => data.nodes[data.node[line]]))];
      const on = several ? ` on ${nodes.length > 1 ? `${nodes[0]} to ${nodes.at(-1)}` : nodes[0]}` : "";
      return (ranks.length > 1 ? `${ranks.length} ranks, ${ranks[0]} to ${ranks.at(-1)}` : `rank ${ranks[0]}`) + on;
    },
  });
  const made = [map.key, map.figure, element("h3", { style: "margin-top:1rem" }, "Most often the slowest"), dataTable(
    [["rank", true], ["host", true], ["slowest in % of iterations"], ["own time, ms"], ["against median rank, %"]],
    data.slowest.map(([rank, host, ...numbers]) => [[rank], [host], ...numbers.map((value) => [value])]))];
  if (several) {
    const choose = element("select", { id: "node-choice" }, element("option", { value: "" }, "all nodes"),
      ...data.nodes.map((name, node) => element("option", { value: String(node) }, name)));
    const all = data.names.map((_, line) => line);
    choose.addEventListener("change", () => map.show(choose.value === "" ? all : all.filter((line) => data.node[line] === Number(choose.value))));
    pickNode = (node) => {
      choose.value = String(node);
      choose.dispatchEvent(new Event("change"));
      document.getElementById("ranks").scrollIntoView({ behavior: "smooth", block: "start" });
    };
    made.unshift(element("div", { class: "tools" }, element("label", { for: "node-choice" }, "Ranks of:"), choose));
  }
  return made;
}
