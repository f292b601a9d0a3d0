"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const first = new Map();
  const latest = new Map();
  const rows = new Map();
  let page = 1;
  let known = new Set();

  // What the edge says about itself in Cache-Status (RFC 9211), in a word for the reader.
  function verdict(response) {
    const field = response.headers.get("Cache-Status");
    if (!response.ok) return { kind: "fail", text: String(response.status), field };
    if (!field) return { kind: "", text: "no edge", field: null };
    const member = field.split(",").pop();
    const ttl = /;\s*ttl=(-?\d+)/.exec(member);
    const forward = /;\s*fwd=([\w-]+)/.exec(member);
    if (/;\s*hit(?=\s*(;|$))/.test(member)) {
      const stale = ttl !== null && Number(ttl[1]) < 0;
      return { kind: "hit", text: stale ? "hit, stale" : "hit", field };
    }
    const why = forward ? forward[1] : "miss";
    if (why === "bypass" || why === "method") return { kind: "bypass", text: why, field };
    const status = /;\s*fwd-status=(\d+)/.exec(member);
    if (status && Number(status[1]) >= 500) return { kind: "hit", text: "stale kept", field };
    if (status && status[1] === "304") return { kind: "hit", text: "validated", field };
    const shared = /;\s*collapsed/.test(member);
    return { kind: "miss", text: shared ? "shared" : why.endsWith("miss") ? "miss" : why, field };
  }

  // Asks past the browser's own cache; the field keeps the browser from adding `no-cache`, which
  // would make the edge ask the origin each time.
  async function ask(path, options) {
    const init = options || {};
    const headers = Object.assign({ "Cache-Control": "max-age=31536000" }, init.headers);
    if (path.startsWith("/api/")) headers["Accept-Language"] = byId("language").value;
    const start = performance.now();
    const response = await fetch(path, Object.assign({ cache: "no-store" }, init, { headers }));
    const body = await response.arrayBuffer();
    const took = onTheWire(path) || performance.now() - start;
    note(init.method ? `${init.method} ${path}` : path, response, took);
    if (!(response.headers.get("Content-Type") || "").includes("json")) return null;
    return { ok: response.ok, value: JSON.parse(new TextDecoder().decode(body)) };
  }

  // From request to last byte as the browser timed it, without waiting for a busy page.
  function onTheWire(path) {
    const all = performance.getEntriesByName(new URL(path, location.href).href);
    const timing = all.filter((one) => one.initiatorType === "fetch").pop();
    performance.clearResourceTimings();
    return timing && timing.requestStart > 0 ? timing.responseEnd - timing.requestStart : 0;
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function milliseconds(value) {
    return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
  }

  function note(label, response, took) {
    const what = verdict(response);
    if (!first.has(label)) first.set(label, took);
    latest.set(label, { took, hit: what.kind === "hit", edge: what.field !== null });
    const row = rows.get(label) || newRow(label);
    row.answer.className = `verdict ${what.kind}`;
    row.answer.textContent = what.text;
    const age = response.headers.get("Age");
    row.age.textContent = age === null ? "" : `${age} s`;
    row.took.textContent = milliseconds(took);
    row.bar.className = what.kind;
    row.bar.style.width = `${Math.min(100, Math.max(2, took / 1.6))}%`;
    row.field.textContent = what.field || `status ${response.status}, no Cache-Status`;
    summary();
  }

  function newRow(label) {
    const [upper, lower] = [element("tr"), element("tr")];
    const name = element("td", "path", label);
    const answerCell = element("td");
    const answer = answerCell.appendChild(element("span", "verdict"));
    const age = element("td", "number");
    const took = element("td", "number");
    upper.append(name, answerCell, age, took);
    const cell = lower.appendChild(element("td"));
    cell.colSpan = 4;
    const track = cell.appendChild(element("div", "time"));
    const bar = track.appendChild(element("i"));
    const field = cell.appendChild(element("code", "field"));
    byId("seen").append(upper, lower);
    const row = { answer, age, took, bar, field };
    rows.set(label, row);
    return row;
  }

  function summary() {
    const all = [...latest.entries()].filter(([label]) => label.startsWith("/"));
    const hits = all.filter(([, one]) => one.hit).length;
    const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);
    const now = sum(all.map(([, one]) => one.took));
    const before = sum(all.map(([label]) => first.get(label)));
    const text = byId("summary");
    text.replaceChildren();
    if (!all.some(([, one]) => one.edge)) {
      text.textContent = "No edge in between: these answers come straight from the origin.";
      return;
    }
    text.append(element("b", "", `${hits} of ${all.length}`), " answered from the cache, in ");
    text.append(element("b", "", milliseconds(now)));
    text.append(before > now * 1.2 ? ` (at first ${milliseconds(before)}).` : ".");
  }

  function cells(values) {
    const row = element("tr");
    for (const [className, text, small] of values) {
      const cell = row.appendChild(element("td", className, text));
      if (small) cell.appendChild(element("small", "", small));
    }
    return row;
  }

  async function parts() {
    const answer = await ask(`/api/products?page=${page}`);
    if (!answer || !answer.ok) return;
    const list = answer.value;
    byId("parts").replaceChildren(
      ...list.items.map((item) =>
        cells([
          ["", item.name, `${item.number} · ${item.standard}`],
          ["wide", item.manufacturer.name],
          ["number", `${item.price} €`],
          ["number wide", String(item.stock)],
        ]),
      ),
    );
    byId("page").textContent = `Page ${list.page} of ${list.pages}`;
    byId("previous").disabled = list.page <= 1;
    byId("next").disabled = list.page >= list.pages;
  }

  async function orders() {
    const answer = await ask("/api/orders");
    if (!answer || !answer.ok) return;
    const board = answer.value.items.map((item) => {
      const row = cells([
        ["", item.number, item.placed.slice(11, 19)],
        ["", `${item.quantity} × ${item.product}`],
        ["number", `${item.total} €`],
        ["wide", item.status],
        ["wide", item.ship_to],
      ]);
      if (known.size > 0 && !known.has(item.number)) row.className = "fresh";
      return row;
    });
    known = new Set(answer.value.items.map((item) => item.number));
    byId("board").replaceChildren(...board);
  }

  // A script cannot see the cookie, so the page remembers that there is one.
  function sessionIs(on) {
    const button = byId("session");
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "End the session" : "Start a session";
    localStorage.setItem("session", String(on));
  }

  const others = [
    "/api/categories",
    "/api/manufacturers",
    "/api/machines",
    "/images/drawing-flange.png",
    new URL(document.querySelector("script[src*=vendor]").src).pathname,
  ];

  // One after the other, so that no answer waits for another's connection.
  async function everything() {
    const button = byId("again");
    button.disabled = true;
    try {
      await parts();
      await orders();
      for (const path of others) await ask(path);
    } catch (problem) {
      byId("summary").textContent = `The edge did not answer (${problem.message}).`;
    }
    button.disabled = false;
  }

  function onClick(id, action) {
    byId(id).addEventListener("click", () => {
      action().catch((problem) => {
        byId("summary").textContent = `The edge did not answer (${problem.message}).`;
      });
    });
  }

  onClick("again", everything);
  onClick("previous", () => { page -= 1; return parts(); });
  onClick("next", () => { page += 1; return parts(); });
  onClick("order", async () => {
    await ask("/api/orders", { method: "POST" });
    await orders();
  });
  onClick("session", async () => {
    const button = byId("session");
    const on = button.getAttribute("aria-pressed") === "true";
    await ask("/api/session", { method: on ? "DELETE" : "POST" });
    sessionIs(!on);
    await everything();
  });
  byId("language").addEventListener("change", everything);

  sessionIs(localStorage.getItem("session") === "true");
  if (document.readyState === "complete") everything();
  else window.addEventListener("load", everything);
})();
