"use strict";
// Puts the page together from its data.

const run = JSON.parse(document.getElementById("data").textContent);

function section(id, short, title, text, make) {
  const data = run.sections[id];
  if (!data) return null;
  const made = element("section", { id }, element("div", { class: "head" }, element("h2", {}, title),
    element("a", { class: "csv", href: `${run.folder}/${id}.csv`, download: "" }, "CSV")),
  element("p", {}, text));
  let nodes;
  try {
    nodes = make(data);
  } catch (error) {
    nodes = [element("p", { class: "failed" }, `This plot failed: ${error.message}`)];
    failures.push(`${id}: ${error.stack}`);
  }
  made.append(...nodes);
  return [made, short];
}

const failures = [];
addEventListener("error", (event) => {
  failures.push(event.message);
  document.documentElement.dataset.state = "failed";
});

const head = document.getElementById("top");
head.append(element("h1", {}, run.title), element("div", { class: "sub" }, run.subtitle),
  element("div", { class: "cards" }, ...run.cards.map(([value, what, more]) =>
    element("div", { class: "card" }, element("b", {}, value), element("span", {}, what), more ? element("span", {}, more) : null))),
  element("h2", { id: "findings" }, "What stands out"),
  element("ul", { class: "findings" }, ...run.findings.map(({ severity, title, text }) =>
    element("li", { class: severity }, element("b", {}, element("span", { class: "word" }, severity), title), text))));

const few = run.sections.timeline && run.sections.timeline.ranks.length < run.ranks
  ? ` ${run.sections.timeline.ranks.length} of ${run.ranks} ranks are shown, from the slowest to the fastest.` : "";
const sections = [
  section("ledger", "Ledger", "Where the time went", "Every microsecond of an iteration is in exactly one part; means over the measured iterations. Hidden all-reduce and copies lie under layers and are not added.", ledger),
  section("layers", "Layers", "Layers", `Times: mean over ranks of each rank's median; shares: of the mean iteration, as in the ledger. FLOPs and bytes are counted from the network's shapes (bytes: the least possible), for one rank's batch. Click a column's head to sort.`,
    (data) => [...layerTable(data, run.ranks), ...layerBars(data)]),
  section("distribution", "Spread", "Spread of each layer", "Over all measured iterations and ranks: density between the 1st and 99th percentile, thin line 5th to 95th, thick line 25th to 75th, circle median, which stands on the right.", distribution),
  section("timeline", "Timeline", "Timeline", `One lane for each rank's computing, below it its communication; on rank 0's clock, corrected for offsets.${few} Drag to zoom, double-click for all, hold Ctrl and scroll, or use the keys.`, timeline),
  section("nodes", "Nodes", "Stragglers by node", "Each node's slowest rank against that of the median node in the same iteration. A rank's own time is its iteration without the all-reduce's wait and transfer. Orange nodes are those that the others wait for; click one to see its ranks below.", nodeMap),
  section("ranks", "Stragglers", "Stragglers by rank", "Each rank's own time, which is its iteration without the all-reduce's wait and transfer, against the median of all ranks in the same iteration. Orange ranks are those that the others wait for.", rankMap),
  section("late", "Late", "What makes ranks late", "Found by the run itself, in windows of 20 iterations: what a rank takes longer for than the other ranks, by more than noise explains. Always: in four of five windows; in spells: in windows that follow each other; else at random. Last: iterations in which a rank of the node came last to the last all-reduce.", lateRanks),
  section("idle", "Idle", "Beside the layers, by cause", "Bar: mean over iterations and ranks. Line: 5th to 95th percentile of the ranks' means. Circle: the rank with most.", idle),
  section("buckets", "Communication", "Communication", "Means of each gradient bucket's all-reduce, in order of sending. Hidden: before the rank's backward pass ended. Exposed wait: then, for the slowest rank. Exposed transfer: then, on the way. Queued: ready, and not sent yet. Bus bandwidth: 2 (ranks \u2212 1) / ranks of the bucket in its transfer, which begins when the last rank has come, so that waiting does not lower it; algorithm bandwidth: the bucket itself in that time. Without skew: as large a transfer right after a barrier, measured once by the run.", buckets),
  section("roofline", "Roofline", "Roofline", run.roofText, roofline),
  section("iterations", "Over the run", "Over the run", run.iterationsText, overIterations),
  section("proof", "Trust", "How far to trust these numbers", "What no layer and no activity explains, on the rank where it is most, and what the timing itself cost.", proof),
].filter((one) => one !== null);

document.getElementById("main").append(...sections.map(([node]) => node),
  element("section", { id: "facts" }, element("h2", {}, "The run"), ...run.facts.map(([title, pairs, isOpen]) =>
    element("details", isOpen ? { open: "" } : {}, element("summary", {}, title),
      element("dl", {}, ...pairs.flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, value)]))))));
document.getElementById("contents").append(element("ul", {}, element("li", {}, element("a", { href: "#top" }, "Summary")),
  ...sections.map(([node, short]) => element("li", {}, element("a", { href: `#${node.id}` }, short))),
  element("li", {}, element("a", { href: "#facts" }, "The run"))));
document.getElementById("footer").textContent = run.footer;

function redrawAll() {
  for (const redraw of drawings) {
    try {
      redraw();
    } catch (error) {
      failures.push(String(error.stack));
    }
  }
}
redrawAll();
// Paper is narrower than most windows: plots are drawn anew for it, and all facts are shown.
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("paper");
  for (const fold of document.querySelectorAll("#facts details:not([open])")) {
    fold.open = true;
    fold.dataset.closed = "";
  }
  redrawAll();
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("paper");
  for (const fold of document.querySelectorAll("details[data-closed]")) {
    fold.open = false;
    delete fold.dataset.closed;
  }
  redrawAll();
});
document.documentElement.dataset.state = failures.length ? "failed" : "ready";
document.documentElement.dataset.failures = failures.join("; ");
