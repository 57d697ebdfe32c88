"use strict";
// The plots. Each takes its section's data and gives nodes.

const PHASES = ["#0072B2", "#E69F00", "#009E73"];

// Rows of stacked bars: [{name, parts: [value...], tip(i), after}].
function stackedRows(label, rows, names, colours, unit, rowHeight = 22) {
  return plot(label, (svg, width) => {
    const longest = Math.max(...rows.map((row) => textWidth(row.name)));
    const left = Math.min(longest, width * 0.34) + 12;
    const after = Math.max(0, ...rows.map((row) => textWidth(row.after ?? ""))) + 12;
    const right = width - after;
    const most = Math.max(...rows.map((row) => row.parts.reduce((a, b) => a + (b ?? 0), 0))) || 1;
    const scale = Object.assign(linear(0, most, left, right), { from: left, to: right });
    const bottom = rows.length * rowHeight + 6;
    bottomAxis(svg, scale, ticks(0, most, Math.max(2, (right - left) / 90)), 2, bottom, unit);
    rows.forEach((row, i) => {
      const y = i * rowHeight + 6;
      const text = shape(svg, "text", { x: left - 7, y: y + rowHeight / 2 + 1, "text-anchor": "end" },
        shortened(row.name, left - 12));
      if (row.hint) hover(text, row.hint);
      let at = 0;
      row.parts.forEach((value, k) => {
        if (!(value > 0)) return;
        const bar = shape(svg, "rect", { x: scale(at), y, width: Math.max(0.4, scale(at + value) - scale(at)),
          height: rowHeight - 6, fill: colours[k] });
        hover(bar, row.tip(k));
        at += value;
      });
      if (row.after) shape(svg, "text", { x: scale(at) + 6, y: y + rowHeight / 2 + 1, class: "axis" }, row.after);
    });
    return bottom + 42;
  });
}

function ledger(data) {
  const total = data.mean.reduce((a, b) => a + b, 0);
  const shown = data.names.map((_, i) => i).filter((i) => data.values.some((row) => row[i] > 0));
  const used = (list) => shown.map((i) => list[i]);
  const names = used(data.names), colours = used(data.colours);
  const whole = stackedRows("Mean iteration by what it was spent on",
    [{ name: data.values.length > 1 ? "mean of all ranks" : "rank 0", parts: used(data.mean),
       after: milliseconds(total),
       tip: (k) => `${names[k]}\n${milliseconds(used(data.mean)[k])}, ${percent((100 * used(data.mean)[k]) / total)} of the iteration` }],
    names, colours, "ms an iteration", 40);
  const list = element("ul", { class: "legend" }, ...names.map((name, i) => element("li", {},
    element("i", { style: `background:${colours[i]}` }),
    `${name} ${percent((100 * used(data.mean)[i]) / total)}`)));
  if (data.values.length === 1) return [whole, list];
  const rankTip = (rank, k) => `rank ${rank} on ${data.hosts[rank]}\n${names[k]}: ` +
    milliseconds(used(data.values[rank])[k]);
  if (data.bands) return [whole, list, ...bands(data, used, names, colours)];
  const rows = data.values.map((row, rank) => ({
    name: `rank ${rank}`, hint: data.hosts[rank], parts: used(row), tip: (k) => rankTip(rank, k),
    after: milliseconds(row.reduce((a, b) => a + b, 0)),
  }));
  return [whole, list, stackedRows("Mean iteration of each rank by what it was spent on", rows, names, colours, "ms an iteration")];
}

// Many ranks: stacked areas, a step for each rank.
function bands(data, used, names, colours) {
  const slowestFirst = data.values.map((_, rank) => rank);
  const work = data.names.map((name, i) => (/^allreduce_/.test(name) ? -1 : i)).filter((i) => i >= 0);
  const own = data.values.map((row) => work.reduce((sum, i) => sum + row[i], 0));
  slowestFirst.sort((a, b) => own[b] - own[a]);
  let order = data.values.map((_, rank) => rank);
  const figure = plot("Mean iteration of every rank by what it was spent on", (svg, width) => {
    const [left, right, top, bottom] = [56, width - 10, 22, 300];
    const count = order.length;
    const most = Math.max(...data.values.map((row) => row.reduce((a, b) => a + b, 0)));
    const x = Object.assign(linear(0, count, left, right), { from: left, to: right });
    const y = linear(0, most, bottom, top);
    leftAxis(svg, y, ticks(0, most, 6), left, right, "ms an iteration");
    const base = new Array(count).fill(0);
    const edges = [];
    names.forEach((_, k) => {
      const upper = order.map((rank, i) => base[i] + Math.max(0, used(data.values[rank])[k]));
      let path = "";
      for (let i = 0; i < count; i++) path += `${i ? "L" : "M"}${x(i).toFixed(1)},${y(upper[i]).toFixed(1)}H${x(i + 1).toFixed(1)}`;
      for (let i = count - 1; i >= 0; i--) path += `L${x(i + 1).toFixed(1)},${y(base[i]).toFixed(1)}H${x(i).toFixed(1)}`;
      shape(svg, "path", { d: path + "Z", fill: colours[k] });
      upper.forEach((value, i) => { base[i] = value; });
      edges.push(upper);
    });
    const inOrder = order[0] === 0 && order[1] === 1 && order[count - 1] === count - 1;
    const marks = ticks(0, count, Math.max(2, width / 110)).filter((value) => value < count);
    bottomAxis(svg, x, marks, bottom, bottom, inOrder ? "rank" : "ranks, slowest first");
    const cover = shape(svg, "rect", { x: left, y: top, width: right - left, height: bottom - top, fill: "transparent" });
    hover(cover, (event) => {
      const box = svg.getBoundingClientRect();
      const i = Math.max(0, Math.min(count - 1, Math.floor(x.back(event.clientX - box.left))));
      const value = y.back(event.clientY - box.top);
      const k = edges.findIndex((upper) => value <= upper[i]);
      const rank = order[i];
      const of = k >= 0 ? `${names[k]}: ${milliseconds(used(data.values[rank])[k])}\n` : "";
      return `rank ${rank} on ${data.hosts[rank]}\n${of}in all ${milliseconds(base[i])}, without all-reduce ${milliseconds(own[rank])}`;
    });
    return bottom + 42;
  });
  const tools = choice("Order", ["by rank", "slowest first"], (i) => {
    order = i ? slowestFirst : data.values.map((_, rank) => rank);
    figure.redraw();
  });
  return [tools, figure];
}

function layerBars(data) {
  const rows = data.rows.map((row) => ({
    name: row[0], parts: row.slice(2, 5), after: percent(row[6]),
    tip: (k) => `${row[0]} ${["forward", "backward", "update"][k]}\n${milliseconds(row[2 + k])} of ${milliseconds(row[5])}`,
  }));
  return [legend(["forward", "backward", "update", "(after the bar: share of the iteration)"], [...PHASES, "transparent"]),
    stackedRows("Time of each layer by phase", rows, [], PHASES, "ms an iteration", rows.length > 30 ? 18 : 22)];
}

function distribution(data) {
  let phase = 3, relative = true;
  const figure = plot("Distribution of each layer's time", (svg, width) => {
    const present = data.of.map((of, i) => [i, of[phase]]).filter(([, of]) => of);
    const left = Math.min(Math.max(...present.map(([i]) => textWidth(data.layers[i]))), width * 0.34) + 12;
    const right = width - 78;
    const rowHeight = 30;
    const unit = (of) => (relative ? of.q[3] / 100 : 1);
    const low = Math.min(...present.map(([, of]) => of.q[0] / unit(of)));
    const all = Math.max(...present.map(([, of]) => of.q[6] / unit(of)));
    const usual = 1.3 * Math.max(...present.map(([, of]) => of.q[5] / unit(of)));
    const high = Math.min(all, usual); // a few long ones would squeeze all others
    const bottom = present.length * rowHeight + 4;
    const scale = relative ? linear(low - 0.03 * (high - low), high + 0.03 * (high - low), left, right)
      : logarithmic(low / 1.15, high * 1.15, left, right);
    const marks = relative ? ticks(low, high, (right - left) / 80) : logTicks(low / 1.15, high * 1.15, (right - left) / 70);
    bottomAxis(svg, Object.assign(scale, { from: left, to: right }), marks, 2, bottom,
      (relative ? "% of the layer's median" : "ms, logarithmic") + (high < all ? ", the longest cut off" : ""), relative ? null : number);
    present.forEach(([i, of], row) => {
      const x = (value) => Math.min(right, scale(value / unit(of)));
      const middle = row * rowHeight + rowHeight / 2 + 2;
      shape(svg, "text", { x: left - 7, y: middle + 4, "text-anchor": "end" }, shortened(data.layers[i], left - 12));
      shape(svg, "text", { x: right + 10, y: middle + 4, class: "axis" }, milliseconds(of.q[3]));
      const bins = of.d.length, [first, last] = [of.q[0], of.q[6]];
      const at = (k) => x(first * (last / first) ** (k / bins)).toFixed(1);
      let upper = `M${at(0)},${middle}`, lower = "";
      of.d.forEach((density, k) => {
        const half = (density / 99) * 11;
        upper += `L${at(k + 0.5)},${(middle - half).toFixed(1)}`;
        lower = `L${at(k + 0.5)},${(middle + half).toFixed(1)}` + lower;
      });
      shape(svg, "path", { d: `${upper}L${at(bins)},${middle}${lower}Z`, fill: phase < 3 ? PHASES[phase] : "#7a8698", "fill-opacity": 0.35 });
      shape(svg, "line", { x1: x(of.q[1]), x2: x(of.q[5]), y1: middle, y2: middle, stroke: "#1d2433", "stroke-width": 1 });
      shape(svg, "rect", { x: x(of.q[2]), y: middle - 3, width: Math.max(1, x(of.q[4]) - x(of.q[2])), height: 6, fill: "#1d2433" });
      shape(svg, "circle", { cx: x(of.q[3]), cy: middle, r: 3.2, fill: "#fff", stroke: "#1d2433" });
      const cover = shape(svg, "rect", { x: 0, y: middle - rowHeight / 2, width, height: rowHeight, fill: "transparent" });
      hover(cover, `${data.layers[i]}, ${data.phases[phase]}\nmedian ${milliseconds(of.q[3])}\nhalf of all: ${milliseconds(of.q[2])} to ${milliseconds(of.q[4])}\n` +
        `90 %: ${milliseconds(of.q[1])} to ${milliseconds(of.q[5])}\n98 %: ${milliseconds(of.q[0])} to ${milliseconds(of.q[6])}`);
    });
    return bottom + 42;
  });
  const order = [3, 0, 1, 2];
  return [choice("Phase", ["all", "forward", "backward", "update"], (i) => { phase = order[i]; figure.redraw(); }),
    choice("Axis", ["against each median", "time"], (i) => { relative = i === 0; figure.redraw(); }), figure];
}

// 1, 2, 5 in each decade, thinned to what fits.
function logTicks(low, high, wanted) {
  for (const factors of [[1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      for (const factor of factors) {
        const value = factor * 10 ** power;
        if (value >= low && value <= high) found.push(value);
      }
    }
    if (found.length <= wanted || factors.length === 1) {
      const step = Math.ceil(found.length / Math.max(1, wanted));
      const kept = found.filter((_, i) => i % step === 0);
      return kept.length ? kept : [Math.sqrt(low * high)];
    }
  }
  return [];
}

function idle(data) {
  const order = data.names.map((_, i) => i).sort((a, b) => (data.mean[b] ?? 0) - (data.mean[a] ?? 0));
  return [plot("Time in no layer, by cause", (svg, width) => {
    const left = Math.max(...data.names.map(textWidth)) + 12;
    const texts = data.names.map((_, i) => `${milliseconds(data.mean[i])}, ${percent(data.share[i])}`);
    const after = Math.max(...texts.map(textWidth)) + 16;
    const right = Math.max(left + 60, width - after);
    const most = Math.max(...data.high, ...data.mean, ...data.most, 1e-6);
    const x = Object.assign(linear(0, most, left, right), { from: left, to: right });
    const rowHeight = 26, bottom = order.length * rowHeight + 4;
    bottomAxis(svg, x, ticks(0, most, Math.max(2, (right - left) / 90)), 2, bottom, "ms an iteration");
    order.forEach((i, row) => {
      const y = row * rowHeight + 4;
      shape(svg, "text", { x: left - 7, y: y + 14, "text-anchor": "end" }, data.names[i]);
      const bar = shape(svg, "rect", { x: left, y: y + 1, width: Math.max(0.5, x(data.mean[i] ?? 0) - left), height: rowHeight - 9, fill: data.colours[i] });
      const middle = y + (rowHeight - 7) / 2;
      shape(svg, "line", { x1: x(data.low[i] ?? 0), x2: x(data.high[i] ?? 0), y1: middle, y2: middle, stroke: "#1d2433" });
      shape(svg, "circle", { cx: x(data.most[i] ?? 0), cy: middle, r: 3, fill: "#fff", stroke: "#1d2433" });
      shape(svg, "text", { x: right + 10, y: y + 14, class: "axis" }, texts[i]);
      const cover = shape(svg, "rect", { x: 0, y, width, height: rowHeight, fill: "transparent" });
      hover(cover, `${data.names[i]}\nmean ${milliseconds(data.mean[i])}, ${percent(data.share[i])} of the iteration\n` +
        `ranks' means, 5th to 95th percentile: ${milliseconds(data.low[i])} to ${milliseconds(data.high[i])}\n` +
        `most on rank ${data.rank[i]}: ${milliseconds(data.most[i])}`);
    });
    return bottom + 42;
  })];
}

function buckets(data) {
  const names = ["hidden", "exposed wait", "exposed transfer"];
  const colours = ["#9CC9E3", "#D55E00", "#CC79A7"];
  const rows = data.hidden_ms.map((hidden, i) => ({
    name: `bucket ${i}`, hint: data.layers[i], parts: [hidden, data.exposed_wait_ms[i], data.exposed_transfer_ms[i]],
    after: `${number(data.mbyte[i])} MB`,
    tip: (k) => `bucket ${i}, ${number(data.mbyte[i])} MB: ${data.layers[i]}\n${names[k]} ` +
      `${milliseconds([hidden, data.exposed_wait_ms[i], data.exposed_transfer_ms[i]][k])}\n` +
      `queued ${milliseconds(data.queue_ms[i])}, wait ${milliseconds(data.wait_ms[i])}, transfer ${milliseconds(data.transfer_ms[i])} (${number(data.gbyte_per_s[i])} GB/s)`,
  }));
  const table = dataTable(
    [["bucket", true], ["MB"], ["queued ms"], ["wait ms"], ["transfer ms"], ["without skew ms"], ["hidden ms"],
      ["exposed ms"], ["algorithm GB/s"], ["bus GB/s"]],
    data.mbyte.map((size, i) => {
      const parts = [data.exposed_wait_ms[i], data.exposed_transfer_ms[i]];
      const exposed = parts.includes(null) ? null : parts[0] + parts[1];
      return [[String(i)], [size], ...["queue_ms", "wait_ms", "transfer_ms", "zero_skew_ms", "hidden_ms"].map((name) => [data[name][i]]),
        [exposed], [data.gbyte_per_s[i]], [data.bus_gbyte_per_s[i]]];
    }));
  return [legend(names, colours), stackedRows("Each bucket's all-reduce", rows, names, colours, "ms an iteration"), table];
}

function roofline(data) {
  if (!data.points.length) return [element("p", {}, "No layer has counted FLOPs and bytes.")];
  const marks = { forward: 0, backward: 1, update: 2 };
  return [legend(["forward (circle)", "backward (square)", "update (triangle)"], PHASES),
    plot("Roofline of each layer and phase", (svg, width) => {
      const [left, right, top, bottom] = [64, width - 16, 24, 400];
      const xs = data.points.map((point) => point[2]), ys = data.points.map((point) => point[3]);
      const [peak, speed] = data.roofs;
      const ridge = peak / speed;
      const [lowX, highX] = [Math.min(...xs, ridge) / 2, Math.max(...xs, ridge) * 2];
      const [lowY, highY] = [Math.min(...ys) / 2, Math.max(...ys, peak) * 2];
      const x = Object.assign(logarithmic(lowX, highX, left, right), { from: left, to: right });
      const y = logarithmic(lowY, highY, bottom, top);
      bottomAxis(svg, x, logTicks(lowX, highX, (right - left) / 70), top, bottom, "FLOP per byte (counted FLOPs, least bytes)", number);
      leftAxis(svg, y, logTicks(lowY, highY, 9), left, right, "GFLOP/s", number);
      const start = Math.max(lowX, lowY / speed);
      shape(svg, "path", { d: `M${x(start)},${y(start * speed)}L${x(ridge)},${y(peak)}H${right}`, fill: "none", stroke: "#1d2433", "stroke-width": 1.6 });
      const peakText = `${number(peak)} GFLOP/s`, speedText = `${number(speed)} GB/s`;
      shape(svg, "text", { x: right, y: y(peak) - 7, "text-anchor": "end" }, peakText);
      const slope = (Math.atan2(y(peak) - y(start * speed), x(ridge) - x(start)) * 180) / Math.PI;
      const [midX, midY] = [(x(start) + x(ridge)) / 2, (y(start * speed) + y(peak)) / 2];
      if (x(ridge) - x(start) > 90) {
        shape(svg, "text", { transform: `translate(${midX},${midY - 7}) rotate(${slope})`, "text-anchor": "middle" }, speedText);
      }
      const longest = Math.max(...data.points.map((point) => point[4]));
      const taken = [];
      for (const point of [...data.points].sort((a, b) => b[4] - a[4])) {
        const [px, py] = [x(point[2]), y(point[3])];
        const r = 3.5 + 6 * Math.sqrt(point[4] / longest);
        const kind = marks[point[1]];
        const style = { fill: PHASES[kind], "fill-opacity": 0.75, stroke: "#fff" };
        const mark = kind === 0 ? shape(svg, "circle", { cx: px, cy: py, r, ...style })
          : kind === 1 ? shape(svg, "rect", { x: px - r * 0.9, y: py - r * 0.9, width: r * 1.8, height: r * 1.8, ...style })
          : shape(svg, "path", { d: `M${px},${py - r * 1.1}l${r * 1.1},${r * 2}h${-r * 2.2}Z`, ...style });
        hover(mark, `${point[0]} ${point[1]}\n${number(point[3])} GFLOP/s at ${number(point[2])} FLOP per byte\n` +
          `${percent((100 * point[3]) / Math.min(peak, point[2] * speed))} of the roof, ${milliseconds(point[4])}`);
        const box = [px + r + 3, py - 7, px + r + 3 + textWidth(point[0]), py + 7];
        const isFree = box[2] < right && taken.every((other) => box[0] > other[2] || box[2] < other[0] || box[1] > other[3] || box[3] < other[1]);
        if (isFree && taken.length < 14) {
          shape(svg, "text", { x: box[0], y: py + 4, class: "axis halo" }, point[0]);
          taken.push(box);
        }
        taken.push([px - r, py - r, px + r, py + r]);
      }
      return bottom + 42;
    })];
}

// Iteration time, and the loss under it.
function overIterations(data) {
  const settled = data.slowest.filter((value, i) => value !== null && data.iterations[i] >= data.iterations[0] + data.warmupEnd)
    .sort((a, b) => a - b);
  const usual = 1.25 * (settled[Math.floor(0.95 * (settled.length - 1))] ?? 1);
  const notes = [data.warmupEnd ? "grey: warm-up" : "", data.starts.length ? "dotted: started again" : ""].filter(Boolean);
  const hasPeaks = Math.max(...data.slowest) > 2 * usual;
  let limit = hasPeaks ? usual : null;
  const lines = (svg, width, height, values, colours, text, fromZero) => {
    const [left, right, top, bottom] = [60, width - 12, 24, height];
    const all = values.flat().filter((value) => value !== null);
    if (!all.length) return height;
    const low = fromZero ? 0 : Math.min(...all), high = fromZero ? limit ?? Math.max(...all) * 1.03 : Math.max(...all);
    const last = data.iterations.at(-1) + data.step;
    const x = Object.assign(linear(data.iterations[0], last, left, right), { from: left, to: right });
    const y = linear(low, high, bottom, top);
    if (data.warmupEnd) {
      shape(svg, "rect", { x: left, y: top, width: Math.max(1, x(data.iterations[0] + data.warmupEnd) - left), height: bottom - top, fill: "#eceef2" });
    }
    leftAxis(svg, y, ticks(low, high, 5), left, right, text);
    bottomAxis(svg, x, ticks(data.iterations[0], last, Math.max(2, width / 110)), bottom, bottom, "iteration" + (notes.length ? ` (${notes.join("; ")})` : ""));
    for (const start of data.starts) {
      shape(svg, "line", { x1: x(start), x2: x(start), y1: top, y2: bottom, stroke: "#5b6475", "stroke-width": 1.2, "stroke-dasharray": "2 3" });
    }
    values.forEach((series, k) => {
      let path = "", pen = "M";
      series.forEach((value, i) => {
        if (value === null) { pen = "M"; return; }
        path += `${pen}${x(data.iterations[i] + data.step / 2).toFixed(1)},${Math.max(top - 4, y(value)).toFixed(1)}`;
        pen = "L";
      });
      shape(svg, "path", { d: path, fill: "none", stroke: colours[k], "stroke-width": 1.5 });
    });
    const cover = shape(svg, "rect", { x: left, y: top, width: right - left, height: bottom - top, fill: "transparent" });
    hover(cover, (event) => {
      const at = x.back(event.clientX - svg.getBoundingClientRect().left);
      const i = Math.max(0, Math.min(data.iterations.length - 1, Math.floor((at - data.iterations[0]) / data.step)));
      const first = data.iterations[i];
      const where = data.step > 1 ? `iterations ${first} to ${first + data.step - 1}` : `iteration ${first}`;
      return `${where}\nslowest rank ${milliseconds(data.slowest[i])}\nmedian rank ${milliseconds(data.median[i])}\nloss ${number(data.loss[i])}`;
    });
    return bottom + 42;
  };
  const time = plot("Iteration time over the run", (svg, width) => lines(svg, width, 220, [data.slowest, data.median], ["#D55E00", "#0072B2"], "ms", true));
  const made = [legend(["slowest rank", "median rank"], ["#D55E00", "#0072B2"]), time];
  if (hasPeaks) {
    made.unshift(choice("Axis", ["usual times, peaks cut off", "all"], (i) => { limit = i ? null : usual; time.redraw(); }));
  }
  if (data.loss.some((value) => value !== null)) {
    made.push(plot("Training loss over the run", (svg, width) => lines(svg, width, 150, [data.loss], ["#1d2433"], "training loss", false)));
  }
  return made;
}

function proof(data) {
  return [plot("Bounds", (svg, width) => {
    const narrow = width < 620;
    const left = narrow ? 8 : 320, right = width - 86;
    const rowHeight = narrow ? 62 : 40;
    data.rows.forEach(([what, value, low, high, bound, note], i) => {
      const y = i * rowHeight + 6, line = narrow ? y + 36 : y + 14;
      shape(svg, "text", { x: 8, y: narrow ? y + 10 : y + 18 }, shortened(what + (note ? ` (${note})` : ""), narrow ? width - 8 : left - 16));
      const most = Math.max(2 * bound, value ?? 0, high ?? 0) * 1.05;
      const least = Math.min(0, low ?? 0, value ?? 0) * 1.05;
      const x = linear(least, most, left, right);
      shape(svg, "rect", { x: x(least), y: line - 9, width: x(most) - x(least), height: 18, fill: "#f1e4dc" });
      shape(svg, "rect", { x: x(least), y: line - 9, width: x(bound) - x(least), height: 18, fill: "#dcefe8" });
      shape(svg, "line", { x1: x(bound), x2: x(bound), y1: line - 12, y2: line + 12, stroke: "#b3470b", "stroke-width": 1.5 });
      if (low !== null) shape(svg, "line", { x1: x(low), x2: x(high), y1: line, y2: line, stroke: "#1d2433", "stroke-width": 3 });
      if (value !== null) shape(svg, "circle", { cx: x(value), cy: line, r: 5, fill: "#1d2433" });
      shape(svg, "text", { x: x(bound) + 5, y: line + 4, class: "axis" }, `bound ${percent(bound)}`);
      shape(svg, "text", { x: right + 10, y: line + 4 }, value === null ? "\u2013" : percent(value));
      const cover = shape(svg, "rect", { x: 0, y, width, height: rowHeight - 4, fill: "transparent" });
      hover(cover, `${what}: ${percent(value)}${low === null ? "" : `, ${percent(low)} to ${percent(high)}`}\nbound ${percent(bound)}`);
    });
    return data.rows.length * rowHeight + 8;
  }), element("p", { class: "note" }, "Dot: measured. Red line: the bound; green ground lies within it. A black bar is a 95 % interval.")];
}
