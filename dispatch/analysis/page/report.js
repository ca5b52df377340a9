"use strict";
(function () {
  const report = JSON.parse(document.getElementById("report-data").textContent);

  // Definitions: one hint for the whole page, moved beside the name that is pointed at or focused.
  const hint = document.getElementById("hint");
  function show(name) {
    hint.textContent = document.getElementById(name.getAttribute("aria-describedby")).textContent;
    hint.hidden = false;
    const at = name.getBoundingClientRect(), size = hint.getBoundingClientRect();
    const left = Math.max(12, Math.min(at.left, document.documentElement.clientWidth - size.width - 12));
    const under = at.bottom + 8 + size.height < window.innerHeight;
    hint.style.left = left + "px";
    hint.style.top = (under ? at.bottom + 8 : at.top - size.height - 8) + "px";
  }
  function hide() { hint.hidden = true; }
  for (const name of document.querySelectorAll(".known")) {
    name.addEventListener("mouseenter", () => show(name));
    name.addEventListener("focus", () => show(name));
    name.addEventListener("click", () => show(name));
    name.addEventListener("mouseleave", hide);
    name.addEventListener("blur", hide);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  window.addEventListener("scroll", hide, { passive: true });

  // A finger that moves over a chart scrolls the page; a mouse moves the map.
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  function draw(id) {
    const figure = report.figures[id], place = document.getElementById(id), isMap = id.startsWith("map");
    const layout = figure.layout;
    if (isMap) {
      layout.images[0].source = "data:image/svg+xml," + encodeURIComponent(report.background);
      layout.dragmode = coarse ? false : "pan";
      if (place.clientWidth < 640) {
        layout.xaxis.range = figure.narrow.x;
        layout.yaxis.range = figure.narrow.y;
      }
      const ratio = (layout.yaxis.range[1] - layout.yaxis.range[0]) / (layout.xaxis.range[1] - layout.xaxis.range[0]);
      layout.height = Math.round(Math.max(320, Math.min(680, place.clientWidth * ratio + 40)));
    } else if (place.clientWidth < 480) {
      layout.margin = { l: id.startsWith("timeline") ? 20 : 48, r: 8, t: 8, b: 44 };
      layout.font.size = 12;
      // Numbers in cells this narrow would run into one another.
      for (const trace of figure.data) if (trace.type === "heatmap") trace.texttemplate = "";
    }
    // A picture of states: what each number means is told once, not in every cell.
    if (figure.labels) {
      for (const trace of figure.data) {
        trace.text = trace.z.map((row, at) => row.map((state) => state === null ? "" : "driver " + figure.names[at] + ", " + figure.labels[state]));
      }
    }
    // Without a height of its own a place shrinks to the least one when the window changes.
    place.style.height = layout.height + "px";
    place.style.minHeight = "0";
    const config = {
      responsive: true, displaylogo: false, displayModeBar: isMap, doubleClick: isMap ? "reset" : false,
      modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
    };
    return Plotly.newPlot(place, figure.data, layout, config);
  }
  // One chart at a time: the page is there at once and never stands still for long.
  const waiting = Object.keys(report.figures);
  function next() {
    if (waiting.length === 0) { document.documentElement.dataset.drawn = "true"; return; }
    draw(waiting.shift()).then(() => setTimeout(next, 0));
  }
  next();

  // What the heat maps show: each trace says by its meta of which measure it is.
  for (const choice of document.querySelectorAll("input[name=heat]")) {
    choice.addEventListener("change", () => {
      for (const id of Object.keys(report.figures).filter((name) => name.startsWith("heat"))) {
        const place = document.getElementById(id), traces = report.figures[id].data;
        for (const trace of traces) trace.visible = trace.meta === choice.value;
        if (place.data) Plotly.restyle(place, { visible: traces.map((trace) => trace.visible) });
      }
    });
  }

  // Paper is narrower than most screens.
  function fit(width) {
    for (const place of document.querySelectorAll(".chart")) {
      if (place.data) Plotly.relayout(place, width ? { width: Math.min(width, place.clientWidth) } : { autosize: true, width: null });
    }
  }
  window.addEventListener("beforeprint", () => fit(680));
  window.addEventListener("afterprint", () => fit(null));
})();
