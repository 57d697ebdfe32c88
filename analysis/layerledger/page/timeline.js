"use strict";
// The timeline: a lane per rank and stream, on a canvas; drag to zoom, keys and buttons to move.

const COMMUNICATION = [["queued", "#c9ced8"], ["wait", "#D55E00"], ["transfer", "#CC79A7"]];
const PHASE_NAMES = ["forward", "backward", "update"];

function timeline(data) {
  let view = data.windows[0], from = 0, to = view.end;
  const [left, top, laneHeight] = [74, 26, 44];
  const figure = element("figure");
  const canvas = element("canvas", {
    tabindex: "0", role: "img", style: "touch-action:pan-y;cursor:crosshair",
    "aria-label": "Timeline of a few iterations, a lane per rank and stream. Arrow keys move, plus and minus zoom, 0 shows all.",
  });
  figure.append(canvas);
  let brush = null;

  const plotWidth = () => figure.clientWidth - left - 8;
  const x = (time) => left + ((time - from) / (to - from)) * plotWidth();
  const time = (at) => from + ((at - left) / plotWidth()) * (to - from);

  const redraw = () => {
    const width = figure.clientWidth;
    if (width < 120) return;
    const ratio = devicePixelRatio || 1, height = top + data.ranks.length * laneHeight + 42;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
    const bottom = top + data.ranks.length * laneHeight;
    axis(pen, width, bottom);
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, width - left - 8, bottom);
    pen.clip();
    view.lanes.forEach((lane, i) => drawLane(pen, lane, top + i * laneHeight, i === 0));
    if (brush) {
      pen.fillStyle = "rgba(0, 114, 178, .15)";
      pen.fillRect(Math.min(brush[0], brush[1]), 0, Math.abs(brush[1] - brush[0]), bottom);
    }
    pen.restore();
    pen.textAlign = "right";
    data.ranks.forEach((rank, i) => {
      pen.fillStyle = "#1d2433";
      pen.fillText(`rank ${rank}`, left - 8, top + i * laneHeight + 16);
      pen.fillStyle = "#8a92a1";
      pen.fillText("comm", left - 8, top + i * laneHeight + 34);
    });
  };

  const axis = (pen, width, bottom) => {
    const marks = ticks(from, to, Math.max(2, (width - left) / 100));
    pen.textAlign = "center";
    for (const mark of marks) {
      pen.strokeStyle = "#e3e6eb";
      pen.beginPath();
      pen.moveTo(x(mark), top - 4);
      pen.lineTo(x(mark), bottom);
      pen.stroke();
      pen.fillStyle = "#5b6475";
      pen.fillText(tickText(mark, marks), x(mark), bottom + 16);
    }
    pen.textAlign = "right";
    pen.fillText("ms from the first iteration's start", width - 8, bottom + 34);
  };

  const drawLane = (pen, lane, y, isFirst) => {
    for (const [number, start, length] of lane.iterations) {
      pen.strokeStyle = "#1d2433";
      pen.beginPath();
      pen.moveTo(x(start), y - (isFirst ? 18 : 0));
      pen.lineTo(x(start), y + laneHeight - 6);
      pen.stroke();
      pen.fillStyle = "#eef0f3";  // what no span covers
      pen.fillRect(x(start), y + 2, x(start + length) - x(start), 22);
      if (isFirst) {
        pen.textAlign = "left";
        pen.fillStyle = "#1d2433";
        const label = `iteration ${number}`;
        const at = Math.max(x(start), left) + 4;
        if (x(start + length) - at > pen.measureText(label).width) pen.fillText(label, at, 12);
      }
    }
    for (const [stream, what, detail, start, duration] of lane.spans) {
      const [a, b] = [x(start), x(start + duration)];
      if (b < left || a > left + plotWidth()) continue;
      const wide = Math.max(0.5, b - a);
      if (stream === 1) {
        pen.fillStyle = COMMUNICATION[detail][1];
        pen.fillRect(a, y + (detail === 0 ? 31 : 28), wide, detail === 0 ? 3 : 9);
        continue;
      }
      pen.fillStyle = PHASES[detail];
      pen.globalAlpha = what % 2 ? 0.72 : 1;
      pen.fillRect(a, y + 2, wide, 22);
      pen.globalAlpha = 1;
      const name = data.layers[what];
      if (wide > 24 && wide > pen.measureText(name).width + 6) {
        pen.textAlign = "center";
        pen.fillStyle = detail === 1 || what % 2 ? "#1d2433" : "#fff";
        pen.fillText(name, (Math.max(a, left) + Math.min(b, left + plotWidth())) / 2, y + 17);
      }
    }
  };

  const found = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = time(event.clientX - box.left);
    const i = Math.floor((event.clientY - box.top - top) / laneHeight);
    const lane = view.lanes[i];
    if (!lane || event.clientX - box.left < left) return null;
    const stream = (event.clientY - box.top - top) % laneHeight > 25 ? 1 : 0;
    const slack = ((to - from) / plotWidth()) * 1.5;
    const hits = lane.spans.filter((span) => span[0] === stream && at >= span[3] - slack && at <= span[3] + span[4] + slack);
    const span = hits.sort((a, b) => b[2] * stream - a[2] * stream || a[4] - b[4])[0];
    const rank = `rank ${data.ranks[i]}`;
    if (span) {
      const what = stream ? `bucket ${span[1]}, ${COMMUNICATION[span[2]][0]}` : `${data.layers[span[1]]} ${PHASE_NAMES[span[2]]}`;
      return `${rank}: ${what}\n${milliseconds(span[4])}, from ${number(span[3])} to ${number(span[3] + span[4])} ms`;
    }
    const iteration = lane.iterations.find(([, start, length]) => at >= start && at <= start + length);
    if (!iteration || stream) return null;
    const activities = data.activities.map((name, k) => [name, iteration[3][k]]).filter(([, value]) => value > 0)
      .sort((a, b) => b[1] - a[1]).slice(0, 6).map(([name, value]) => `\u2003${name} ${milliseconds(value)}`);
    return `${rank}, iteration ${iteration[0]} of ${milliseconds(iteration[2])}: no layer at work.\nIn all of it:\n${activities.join("\n")}` +
      `\n\u2003unaccounted ${milliseconds(iteration[4])}`;
  };

  const show = (a, b) => {
    const length = Math.max(view.end * 1e-5, Math.min(view.end, b - a));
    from = Math.max(0, Math.min(view.end - length, a));
    to = from + length;
    redraw();
  };
  const zoom = (factor, around = (from + to) / 2) => show(around - (around - from) * factor, around + (to - around) * factor);
  const move = (share) => show(from + share * (to - from), to + share * (to - from));

  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return;
    canvas.setPointerCapture(event.pointerId);
    const at = event.clientX - canvas.getBoundingClientRect().left;
    brush = [at, at];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (brush) {
      brush[1] = event.clientX - canvas.getBoundingClientRect().left;
      redraw();
      return;
    }
    const text = found(event);
    if (text) showTip(event, text);
    else hideTip();
  });
  canvas.addEventListener("pointerup", () => {
    if (!brush) return;
    const [a, b] = [Math.min(...brush), Math.max(...brush)];
    brush = null;
    if (b - a > 4) show(time(a), time(b));
    else redraw();
  });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("dblclick", () => show(0, view.end));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, time(event.clientX - canvas.getBoundingClientRect().left));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.7), 0: () => show(0, view.end) }[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
  whenResized(figure, redraw);

  const button = (text, label, act) => element("button", { type: "button", "aria-label": label, onclick: act }, text);
  const tools = choice("Iterations", data.windows.map((one) => `${one.name} (${one.iterations.join(", ")})`), (i) => {
    view = data.windows[i];
    show(0, view.end);
  });
  tools.append(button("+", "zoom in", () => zoom(0.6)), button("\u2212", "zoom out", () => zoom(1.7)),
    button("\u2190", "earlier", () => move(-0.3)), button("\u2192", "later", () => move(0.3)), button("all", "show all", () => show(0, view.end)));
  const key = legend(["forward", "backward", "update", "no layer at work", "bucket queued", "wait for the slowest rank", "transfer"],
    [...PHASES, "#eef0f3", ...COMMUNICATION.map(([, colour]) => colour)]);
  return [tools, key, figure];
}
