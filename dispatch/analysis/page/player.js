// The page: clock, key figures, legend, time bar, and what keys and pointers do.

const SPEEDS = [1, 10, 60, 300, 900], MINUTE_MS = 60_000;
const FADE_S = 0.7;
const element = (id) => document.getElementById(id);
const twoDigits = (number) => String(number).padStart(2, "0");
const count = (number) => number.toLocaleString("en");
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
const duration = (s) => (s === null ? "–" : s >= 600 && s < 3600 ? `${Math.floor(s / 60)} min` : s < 3600 ? `${Math.floor(s / 60)} min ${twoDigits(Math.floor(s % 60))} s` : `${Math.floor(s / 3600)} h ${twoDigits(Math.floor((s % 3600) / 60))} min`);

const KPIS = [
  ["Orders so far", "Orders submitted so far", (k) => count(k.submitted)],
  ["Waiting", "Orders whose passenger is not on board yet", (k) => count(k.waiting)],
  ["Open", "Orders that are neither completed nor lost yet", (k) => count(k.open)],
  ["Completed", "Passengers dropped off so far", (k) => count(k.completed)],
  ["Cancelled", "Orders cancelled so far", (k) => count(k.cancelled)],
  ["Expired", "Orders that ended so far because no driver was found", (k) => count(k.expired)],
  ["Wait, last hour", "Mean time from request, or from the wanted pickup, to boarding, of those who boarded within the last hour", (k) => duration(k.wait_s)],
  ["Golden five", "Orders accepted within 5 minutes / orders of which that is known so far", (k) => percent(k.golden_five)],
  ["Golden ten", "Orders with a quoted pickup ETA of 10 minutes or less / orders accepted so far", (k) => percent(k.golden_ten)],
  ["Empty driving", "Metres without a passenger / all metres told so far", (k) => percent(k.empty)],
  ["Utilisation now", "Cars with a passenger / cars on duty", (k) => percent(k.utilisation)],
  ["Cars on duty", "Cars that are not off duty", (k, day) => count(day.numCars - day.counts[0])],
];

class Player {
  constructor(day) {
    this.day = day;
    this.map = new CityMap(element("cars"), day);
    this.labels = Object.fromEntries([["off_duty", "off duty"], ...day.facts.states]);
    this.time = 0;
    this.playing = false;
    this.speed = 300;
    this.frames = [];
    this.pointer = null;
    this.#makeKpis();
    this.#makeLegend();
    this.#makeSpeeds();
    this.#listenToBar();
    this.#listenToMap();
    this.#listenToKeys();
    new ResizeObserver(() => { this.map.resize(); this.#drawCurve(); this.redraw(); }).observe(element("map"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.map.recolour();
      this.#drawCurve();
      this.redraw();
    });
    this.setSpeed(this.speed);
    this.seek(0);
    requestAnimationFrame((now) => this.#frame(now));
  }

  // --- time ------------------------------------------------------------------------------------

  play() {
    if (this.playing || this.day.lengthMs === 0) return;
    if (this.time >= this.day.lengthMs) this.seek(0);
    this.playing = true;
    this.#showPlaying();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.#showPlaying();
    this.#say(`Paused at ${this.clock()}, ${count(this.day.numWaiting(this.time))} orders waiting`);
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  // Go to an instant, milliseconds since the log's start.
  seek(t) {
    this.time = Math.min(Math.max(t, 0), this.day.lengthMs);
    this.day.moveTo(this.time);
    this.#showFigures();
    this.redraw();
  }

  setSpeed(speed) {
    this.speed = speed;
    this.day.fadeMs = Math.max(10_000, FADE_S * 1000 * speed);
    for (const button of element("speeds").children) button.setAttribute("aria-pressed", String(Number(button.value) === speed));
  }

  clock() {
    const local = this.day.local(this.time);
    return [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(twoDigits).join(":");
  }

  redraw() { this.map.isDirty = true; }

  #frame(now) {
    const passed = this.lastFrame === undefined ? 0 : now - this.lastFrame;
    this.lastFrame = now;
    if (this.playing) {
      // After a pause of the whole page the day does not leap.
      this.time = Math.min(this.time + this.speed * Math.min(passed, 250), this.day.lengthMs);
      if (this.time >= this.day.lengthMs) this.pause();
      this.map.isDirty = true;
    }
    if (this.map.isDirty) {
      this.map.isDirty = false;
      const began = performance.now();
      this.day.moveTo(this.time);
      this.map.draw(this.time);
      if (this.playing) this.#remember(passed, performance.now() - began);
      if (!this.playing || now - (this.shownAt || 0) > 100) {
        this.shownAt = now;
        this.#showFigures();
        this.#showTip();
      }
      this.#showHead();
    }
    requestAnimationFrame((next) => this.#frame(next));
  }

  #remember(passed, spent) {
    this.frames.push([passed, spent]);
    if (this.frames.length > 600) this.frames.shift();
  }

  // Milliseconds from frame to frame, and of work in each, of the last frames that were played.
  frameStats() {
    const level = (column, share) => this.frames.map((frame) => frame[column]).sort((a, b) => a - b)[Math.floor(share * (this.frames.length - 1))];
    return { num: this.frames.length, every_ms: level(0, 0.5), every_p95_ms: level(0, 0.95), work_ms: level(1, 0.5), work_p95_ms: level(1, 0.95) };
  }

  // --- what is shown ---------------------------------------------------------------------------

  #makeKpis() {
    this.kpiPlaces = KPIS.map(([name, definition]) => {
      const tile = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
      term.textContent = name;
      tile.title = definition;
      tile.append(term, value);
      element("kpis").append(tile);
      return value;
    });
  }

  #makeLegend() {
    this.countPlaces = this.day.facts.states.map(([key, label], i) => {
      const button = document.createElement("button"), number = document.createElement("b"), dot = document.createElement("i");
      dot.style.setProperty("--dot", `var(--${key})`);
      button.type = "button";
      button.append(dot, label, number);
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        const isHidden = this.map.hidden.delete(i + 1);
        if (!isHidden) this.map.hidden.add(i + 1);
        button.setAttribute("aria-pressed", String(isHidden));
        this.redraw();
      });
      element("states").append(button);
      return number;
    });
  }

  #showFigures() {
    const kpis = this.day.kpis(this.time), local = this.day.local(this.time);
    const put = (place, text) => { if (place.textContent !== text) place.textContent = text; };
    KPIS.forEach(([, , format], i) => put(this.kpiPlaces[i], format(kpis, this.day)));
    this.countPlaces.forEach((place, i) => put(place, count(this.day.counts[i + 1])));
    put(element("clock-time"), this.clock());
    if (this.day.facts.hasDate) put(element("clock-date"), local.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" }));
    const scrub = element("scrub");
    scrub.setAttribute("aria-valuenow", String(Math.round(this.time / 1000)));
    scrub.setAttribute("aria-valuetext", `${this.clock()}, ${kpis.waiting} orders waiting`);
    if (this.map.chosen >= 0) put(element("chosen").querySelector("p"), this.#aboutCar(this.map.chosen));
  }

  #showPlaying() {
    element("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
    element("play-icon").setAttribute("d", this.playing ? "M6 4h4v16H6zM14 4h4v16h-4z" : "M7 4v16l13-8z");
  }

  #say(text) { element("said").textContent = text; }

  #aboutCar(car) {
    const { id, state, order, next } = this.day.car(car);
    const lines = [`Car ${id}`, this.labels[state]];
    if (order !== null) lines.push(`order ${order}`);
    if (next !== null) lines.push(`then order ${next}`);
    return lines.join("\n");
  }

  #aboutOrder(row) {
    const { day } = this, lostMs = this.time - day.waitEnd[row];
    const waited = duration((Math.min(this.time, day.waitEnd[row]) - day.columns.order_waits[row]) / 1000);
    return `Order ${day.id("order", row)}\n${lostMs > 0 ? "lost after" : "waiting for"} ${waited}`;
  }

  #showTip() {
    const tip = element("tip"), found = this.pointer && !this.drag ? this.map.hit(this.pointer.x, this.pointer.y) : null;
    element("cars").classList.toggle("over", found !== null && found.car !== undefined);
    tip.hidden = found === null;
    if (found === null) return;
    tip.textContent = found.car !== undefined ? this.#aboutCar(found.car) : this.#aboutOrder(found.order);
    const { clientWidth: width, clientHeight: height } = element("map");
    tip.style.left = `${Math.max(0, Math.min(this.pointer.x + 14, width - tip.offsetWidth - 6))}px`;
    tip.style.top = `${Math.max(0, Math.min(this.pointer.y + 14, height - tip.offsetHeight - 6))}px`;
  }

  choose(car) {
    this.map.chosen = car;
    element("chosen").hidden = car < 0;
    this.#showFigures();
    this.redraw();
  }

  // --- the time bar ----------------------------------------------------------------------------

  #makeSpeeds() {
    for (const speed of SPEEDS) {
      const button = document.createElement("button");
      button.type = "button";
      button.value = String(speed);
      button.textContent = `${speed}×`;
      button.setAttribute("aria-label", `${speed} times as fast as life`);
      button.addEventListener("click", () => this.setSpeed(speed));
      element("speeds").append(button);
    }
  }

  #listenToBar() {
    element("play").addEventListener("click", () => this.toggle());
    element("back").addEventListener("click", () => this.seek(this.time - MINUTE_MS));
    element("ahead").addEventListener("click", () => this.seek(this.time + MINUTE_MS));
    element("unchoose").addEventListener("click", () => this.choose(-1));
    // A button that was pressed by a pointer must not take the space bar away.
    element("bar").addEventListener("mousedown", (event) => { if (event.target.closest("button")) event.preventDefault(); });
    const scrub = element("scrub");
    scrub.setAttribute("aria-valuemax", String(Math.round(this.day.lengthMs / 1000)));
    const goTo = (event) => {
      const box = scrub.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.day.lengthMs);
    };
    scrub.addEventListener("pointerdown", (event) => { scrub.setPointerCapture(event.pointerId); goTo(event); });
    scrub.addEventListener("pointermove", (event) => { if (scrub.hasPointerCapture(event.pointerId)) goTo(event); });
  }

  #showHead() {
    const share = this.day.lengthMs > 0 ? this.time / this.day.lengthMs : 0;
    element("head").style.transform = `translateX(${share * this.scrubWidth - 1}px)`;
  }

  #drawCurve() {
    const canvas = element("curve"), ratio = window.devicePixelRatio || 1, { day } = this;
    this.scrubWidth = canvas.clientWidth;
    const width = (canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio)));
    const height = (canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio))), pen = canvas.getContext("2d");
    const waiting = Float64Array.from({ length: width }, (_, i) => day.numWaiting((day.lengthMs * (i + 0.5)) / width));
    const most = day.mostWaiting(), peak = Math.max(1, most);
    element("peak").textContent = `most waiting: ${count(most)}`;
    pen.beginPath();
    pen.moveTo(0, height);
    waiting.forEach((number, i) => pen.lineTo(i + 0.5, height - (number / peak) * (height - 12 * ratio)));
    pen.lineTo(width, height);
    pen.strokeStyle = pen.fillStyle = colourOf("curve");
    pen.lineWidth = ratio;
    pen.stroke();
    pen.globalAlpha = 0.28;
    pen.fill();
    this.#writeHours();
    this.#showHead();
  }

  #writeHours() {
    const { day, scrubWidth: width } = this, place = element("hours");
    place.replaceChildren();
    const step = [1, 5, 15, 30, 60, 120, 180, 360, 720, 1440, 2880].map((minutes) => minutes * MINUTE_MS)
      .find((one) => (one / day.lengthMs) * width >= 52) || 7200 * MINUTE_MS;
    const local0 = day.local(0).getTime();
    for (let at = Math.ceil(local0 / step) * step; at - local0 <= day.lengthMs; at += step) {
      const left = ((at - local0) / Math.max(1, day.lengthMs)) * width, tick = document.createElement("span"), when = new Date(at);
      if (left < 14 || left > width - 14) continue;
      tick.textContent = `${twoDigits(when.getUTCHours())}:${twoDigits(when.getUTCMinutes())}`;
      tick.style.left = `${left}px`;
      place.append(tick);
    }
  }

  // --- the map ---------------------------------------------------------------------------------

  #listenToMap() {
    const canvas = element("cars"), pointers = new Map();
    const at = (event) => { const box = canvas.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
    const change = (act) => { act(); this.redraw(); };
    element("zoom-in").addEventListener("click", () => change(() => this.map.zoomBy(1.6)));
    element("zoom-out").addEventListener("click", () => change(() => this.map.zoomBy(1 / 1.6)));
    element("zoom-all").addEventListener("click", () => change(() => this.map.showAll()));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = at(event), lines = event.deltaMode === 1 ? 16 : 1;
      change(() => this.map.zoomBy(Math.exp(-event.deltaY * lines * 0.0016), x, y));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, at(event));
      this.drag = { moved: pointers.size > 1 };
      this.pressed = at(event);
      canvas.classList.add("held");
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = at(event), was = pointers.get(event.pointerId);
      this.pointer = event.pointerType === "mouse" ? now : null;
      if (was) this.#drag(pointers, event.pointerId, was, now);
      this.redraw();
    });
    const release = (event) => {
      const isClick = pointers.delete(event.pointerId) && event.type === "pointerup" && this.drag && !this.drag.moved;
      if (pointers.size === 0) { this.drag = null; canvas.classList.remove("held"); }
      if (!isClick) return;
      const place = at(event), found = this.map.hit(place.x, place.y);
      this.choose(found && found.car !== undefined ? found.car : -1);
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.redraw(); });
    element("find").addEventListener("submit", (event) => { event.preventDefault(); this.#find(element("find-car").value.trim()); });
  }

  #drag(pointers, id, was, now) {
    if (Math.hypot(now.x - this.pressed.x, now.y - this.pressed.y) > 4) this.drag.moved = true;
    if (pointers.size === 1 && this.drag.moved) this.map.moveBy(now.x - was.x, now.y - was.y);
    if (pointers.size === 2) {
      const other = [...pointers].find(([key]) => key !== id)[1], gap = (a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
      this.map.moveBy((now.x - was.x) / 2, (now.y - was.y) / 2);
      this.map.zoomBy(gap(now) / gap(was), (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
    if (this.drag.moved || pointers.size > 1) pointers.set(id, now);
  }

  #find(id) {
    let car = 0;
    while (car < this.day.numCars && this.day.id("car", car) !== id) car++;
    const isFound = car < this.day.numCars;
    element("find-car").setAttribute("aria-invalid", String(!isFound && id !== ""));
    if (!isFound) { this.#say(`There is no car ${id}`); return; }
    this.choose(car);
    if (this.day.isSeen[car]) this.map.centreOn(this.day.x[car], this.day.y[car]);
    this.#say(this.#aboutCar(car));
    this.redraw();
  }

  // --- keys ------------------------------------------------------------------------------------

  #listenToKeys() {
    const step = (ms) => () => this.seek(this.time + ms), pan = (dx, dy) => () => this.map.moveBy(dx, dy);
    const acts = {
      " ": () => this.toggle(), ArrowLeft: step(-MINUTE_MS), ArrowRight: step(MINUTE_MS), ArrowDown: step(-MINUTE_MS),
      ArrowUp: step(MINUTE_MS), PageUp: step(60 * MINUTE_MS), PageDown: step(-60 * MINUTE_MS),
      Home: () => this.seek(0), End: () => this.seek(this.day.lengthMs), Escape: () => this.choose(-1),
      "+": () => this.map.zoomBy(1.3), "=": () => this.map.zoomBy(1.3), "-": () => this.map.zoomBy(1 / 1.3), 0: () => this.map.showAll(),
      w: pan(0, 60), s: pan(0, -60), a: pan(60, 0), d: pan(-60, 0),
    };
    document.addEventListener("keydown", (event) => {
      const act = acts[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
      if (event.key === " " && event.target.tagName === "BUTTON") return;
      event.preventDefault();
      act();
      this.redraw();
    });
  }
}

async function start() {
  const facts = JSON.parse(element("player-facts").textContent);
  const day = new Day(facts, await unpack(facts.columns, element("player-columns").textContent));
  element("player-columns").remove();
  window.player = new Player(day);
  window.player.stateCounts = () => { day.moveTo(window.player.time); return day.stateCounts(); };
  window.player.kpis = () => { day.moveTo(window.player.time); return day.kpis(window.player.time); };
  window.player.car = (row) => { day.moveTo(window.player.time); return day.car(row); };
  const isEmpty = day.lengthMs === 0;
  element("notice").hidden = !isEmpty;
  element("notice").textContent = isEmpty ? "Nothing happened in this log: there is nothing to play." : "";
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) window.player.play();
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  element("notice").textContent = `This day could not be unpacked: ${error.message}. A newer browser may be needed.`;
  throw error;
});
