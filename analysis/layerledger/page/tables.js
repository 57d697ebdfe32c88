"use strict";
// Tables: plain ones, and the sortable one of the layers.

// columns: [title, is text]; cells: [value, text shown].
function dataTable(columns, rows) {
  const cell = ([value, text], i) => element("td", { class: columns[i][1] ? "text" : null },
    text ?? (typeof value === "number" && !columns[i][1] ? number(value) : String(value ?? "\u2013")));
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, ...columns.map(([title, isText]) =>
      element("th", { scope: "col", class: isText ? "text" : null }, title)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell))))));
}

const LAYER_COLUMNS = [
  ["layer", "layer", true], ["kind", "kind", true], ["forward_ms", "forward ms"], ["backward_ms", "backward ms"],
  ["update_ms", "update ms"], ["total_ms", "total ms"], ["share_percent", "share %"],
  ["gflop_per_s", "GFLOP/s"], ["gbyte_per_s", "GB/s"], ["parameters", "parameters"],
  ["activation_mb", "activa\u00adtions MB"], ["workspace_mb", "work\u00adspace MB"], ["slowest_excess_percent", "slowest rank"],
];

function layerTable(data, ranks) {
  const at = Object.fromEntries(data.columns.map((name, i) => [name, i]));
  const columns = LAYER_COLUMNS.filter(([name]) => ranks > 1 || name !== "slowest_excess_percent");
  const most = Math.max(...data.rows.map((row) => row[at.share_percent] ?? 0));
  let showOps = false, sorted = null, descending = true;

  const layerRow = (row) => element("tr", {}, ...columns.map(([name, , isText]) => {
    const value = row[at[name]];
    if (name === "share_percent") {
      return element("td", { class: "barcell" }, element("span", { style: "display:inline-block;width:3.2em;text-align:right" }, number(value)),
        element("span", { class: "bar", style: `width:${((value ?? 0) / most) * 44}px` }));
    }
    if (name === "slowest_excess_percent") {
      return element("td", {}, value > 0.05 ? `rank ${row[at.slowest_rank]}, +${number(value)} %` : "\u2013");
    }
    return element("td", { class: isText ? "text" : null }, isText ? String(value) : number(value));
  }));
  const opRow = ([, name, ...times]) => {
    const short = name.split("/").slice(1).join("/") || name;
    const sum = times.reduce((a, b) => a + (b ?? 0), 0);
    return element("tr", { class: "op" }, ...columns.map(([column]) => {
      const shown = { layer: short, forward_ms: times[0], backward_ms: times[1], update_ms: times[2], total_ms: sum }[column];
      return element("td", { class: column === "layer" ? "text" : null }, typeof shown === "string" ? shown : shown === undefined ? "" : number(shown));
    }));
  };
  const sumRow = () => element("tr", { class: "sum" }, ...columns.map(([name, , isText]) => {
    if (name === "layer") return element("td", { class: "text" }, "all layers");
    if (!/_ms$|parameters|_mb$|share/.test(name)) return element("td", {}, "");
    const sum = data.rows.reduce((total, row) => total + (row[at[name]] ?? 0), 0);
    return element("td", { class: name === "share_percent" ? "barcell" : isText ? "text" : null },
      name === "share_percent" ? element("span", { style: "display:inline-block;width:3.2em;text-align:right" }, number(sum)) : number(sum));
  }));

  const body = element("tbody");
  const fill = () => {
    const order = data.rows.map((_, i) => i);
    if (sorted !== null) {
      const key = (i) => data.rows[i][at[sorted]];
      order.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        const less = x === null ? 1 : y === null ? -1 : typeof x === "string" ? x.localeCompare(y) : x - y;
        return x === null || y === null ? less : descending ? -less : less;
      });
    }
    body.replaceChildren(...order.flatMap((i) => [layerRow(data.rows[i]),
      ...(showOps ? data.ops.filter((op) => op[0] === i).map(opRow) : [])]), sumRow());
  };
  const heads = columns.map(([name, title, isText]) => {
    const head = element("th", { scope: "col", class: isText ? "text" : null, "aria-sort": "none" });
    head.append(element("button", {
      type: "button", title: "sort",
      onclick: () => {
        descending = sorted === name ? !descending : !isText;
        sorted = name;
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        fill();
      },
    }, title));
    return head;
  });
  fill();
  const table = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of layers" },
    element("table", { id: "layer-table" }, element("thead", {}, element("tr", {}, ...heads)), body));
  const tools = [];
  if (data.ops.length) {
    tools.push(choice("Rows", ["layers", "layers and operations"], (i) => { showOps = i === 1; fill(); }));
  }
  const algorithms = element("details", {}, element("summary", {}, "Algorithms"), element("table", {}, element("tbody", {},
    ...data.rows.map((row) => element("tr", {}, element("td", { class: "text" }, row[0]),
      element("td", { class: "text long" }, row[at.algorithm] || "\u2013"))))));
  return [...tools, table, algorithms];
}

function lateRanks(data) {
  const made = [];
  if (data.nodes.length) {
    made.push(dataTable([["node", true], ["ranks"], ["last in % of iterations"], ["longer ms an iteration"], ["always"], ["in spells"], ["at random"]],
      data.nodes.map(([node, ranks, last, more, ...kinds]) =>
        [[node], [ranks, String(ranks)], [last], [more], ...kinds.map((count) => [count, String(count)])])));
    made.push(element("h3", { style: "margin-top:1rem" }, "By rank"));
  }
  made.push(data.rows.length
    ? dataTable([["rank", true], ["host", true], ["what", true], ["longer ms"], ["longer %"], ["windows"], ["how often", true], ["from itera\u00adtion"]],
      data.rows.map(([rank, host, what, more, share, windows, often, from]) =>
        [[String(rank)], [host], [what], [more], [share], [windows, windows], [often], [from, String(from)]]))
    : element("p", {}, "No rank is slower than the others by more than noise explains."));
  if (data.more) made.push(element("p", { class: "note" }, `${data.more} more are in the CSV file.`));
  return made;
}
