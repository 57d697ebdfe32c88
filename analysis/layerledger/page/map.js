"use strict";
// The straggler map: rank x iteration, colour = own time over the median of the ranks.

// Blue is faster, white as the median, orange slower.
function deviation(level) {
  const t = Math.min(1, Math.abs(level));
  const end = level < 0 ? [0, 114, 178] : [213, 94, 0];
  return end.map((value) => Math.round(247 + (value - 247) * t ** 0.8));
}

function stragglerMap(data) {
  const [ranks, rows] = data.shape;
  const levels = Int8Array.from(atob(data.cells), (char) => char.charCodeAt(0));
  const figure = element("figure");
  const canvas = element("canvas", { role: "img", "aria-label": "Each rank's own time in each iteration, against the median of all ranks" });
  figure.append(canvas);
  const [left, top, below] = [52, 8, 44];
  const shown = () => Math.max(60, Math.min(420, ranks * Math.max(2, Math.min(26, 420 / ranks))));
  const redraw = () => {
    const width = figure.clientWidth;
    if (width < 60) return;
    const height = shown(), ratio = devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = (height + top + below) * ratio;
    canvas.style.height = `${height + top + below}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const image = new ImageData(rows, ranks);
    levels.forEach((level, i) => image.data.set([...deviation(level / 127), 255], 4 * i));
    const small = element("canvas", { width: rows, height: ranks });
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, left, top, width - left - 8, height);
    pen.strokeStyle = "#aab1bd";
    pen.strokeRect(left - 0.5, top - 0.5, width - left - 7, height + 1);
    pen.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
    pen.fillStyle = "#5b6475";
    pen.textAlign = "right";
    const step = Math.max(1, ticks(0, data.ranks, Math.max(1, Math.min(ranks, height / 26)))[1] ?? 1);
    for (let rank = 0; rank < data.ranks; rank += Math.ceil(step)) {
      pen.fillText(rank, left - 6, top + ((rank / data.rankStep + 0.5) / ranks) * height + 4);
    }
    pen.textAlign = "center";
    const every = Math.max(1, Math.ceil(rows / Math.max(1, (width - left) / 80)));
    for (let row = 0; row < rows; row += every) {
      pen.fillText(data.iterations[row], left + ((row + 0.5) / rows) * (width - left - 8), top + height + 16);
    }
    pen.textAlign = "right";
    pen.fillText("iteration; rank on the left", width - 8, top + height + 34);
  };
  whenResized(figure, redraw);
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect(), height = shown();
    const row = Math.floor(((event.clientX - box.left - left) / (box.width - left - 8)) * rows);
    const rank = Math.floor(((event.clientY - box.top - top) / height) * ranks);
    if (row < 0 || row >= rows || rank < 0 || rank >= ranks) return hideTip();
    const first = rank * data.rankStep, last = Math.min(data.ranks, first + data.rankStep) - 1;
    const value = (levels[rank * rows + row] / 127) * data.scale * 100;
    const over = Math.abs(levels[rank * rows + row]) === 127 ? " or more" : "";
    const cell = data.rowStep * data.rankStep > 1 ? "\nwhat deviates most in this cell" : "";
    showTip(event, `${first === last ? `rank ${first}` : `ranks ${first} to ${last}`}, iteration ${data.iterations[row]}` +
      `${data.rowStep > 1 ? ` to ${data.iterations[row] + data.rowStep - 1}` : ""}\n${value >= 0 ? "+" : ""}${value.toFixed(1)} %${over} against the median rank${cell}`);
  });
  canvas.addEventListener("pointerleave", hideTip);
  const scale = data.scale * 100;
  const colours = [-1, -0.5, 0, 0.5, 1].map((level) => `rgb(${deviation(level)})`);
  const key = legend([-1, -0.5, 0, 0.5, 1].map((level) => `${level > 0 ? "+" : ""}${(level * scale).toFixed(scale < 10 ? 1 : 0)} %`), colours);
  const made = [key, figure];
  if (data.ranks > 1) {
    made.push(element("h3", { style: "margin-top:1rem" }, "Most often the slowest"), dataTable(
      [["rank", true], ["host", true], ["slowest in % of iterations"], ["own time, ms"], ["against median rank, %"]],
      data.slowest.map(([rank, host, share, own, excess]) => [[rank], [host], [share], [own], [excess]])));
  }
  return made;
}
