// The map: streets and water drawn once for each view, cars and waiting orders on top of them in every frame.

const AGE_STEPS = 12, OLD_MS = 600_000, MAX_ZOOM = 4;

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function sprite(size, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil(size);
  const pen = canvas.getContext("2d");
  pen.translate(canvas.width / 2, canvas.height / 2);
  draw(pen);
  return canvas;
}

function mixed(from, to, part) {
  const channel = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map((i) => Math.round(channel(from, i) * (1 - part) + channel(to, i) * part)).join(" ")})`;
}

class CityMap {
  constructor(canvas, day) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.day = day;
    this.hidden = new Set();
    this.chosen = -1;
    this.streets = day.facts.streets.map((path) => new Path2D(path));
    this.water = new Path2D(day.facts.water);
    this.ground = document.createElement("canvas");
    // Pixels of the device for each metre, and the pixel of the map's upper left.
    this.scale = 1;
    this.left = this.top = 0;
    this.groundView = null;
    this.isSettled = false;
    this.resize();
    this.showAll();
  }

  resize() {
    const box = this.canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    const centre = this.canvas.width ? this.metres(this.canvas.width / 2, this.canvas.height / 2) : null;
    this.ratio = ratio;
    this.canvas.width = this.ground.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = this.ground.height = Math.max(1, Math.round(box.height * ratio));
    if (centre) {
      if (this.isAll) this.showAll();
      else this.centreOn(...centre);
    }
    this.groundView = null;
  }

  metres(px, py) { return [(px - this.left) / this.scale, (py - this.top) / this.scale]; }

  showAll() {
    const [x, y, width, height] = this.day.facts.view;
    this.scale = Math.min(this.canvas.width / width, this.canvas.height / height);
    this.centreOn(x + width / 2, y + height / 2);
    this.minScale = this.scale / 3;
    this.isAll = true;
  }

  centreOn(x, y) {
    this.left = this.canvas.width / 2 - x * this.scale;
    this.top = this.canvas.height / 2 - y * this.scale;
    this.isAll = false;
  }

  moveBy(dx, dy) {
    this.left += dx * this.ratio;
    this.top += dy * this.ratio;
    this.isAll = false;
  }

  // Zoom around a place of the canvas, in pixels of the page.
  zoomBy(factor, cx = this.canvas.width / this.ratio / 2, cy = this.canvas.height / this.ratio / 2) {
    const px = cx * this.ratio, py = cy * this.ratio, [x, y] = this.metres(px, py);
    this.scale = Math.min(Math.max(this.scale * factor, this.minScale), MAX_ZOOM * this.ratio);
    this.left = px - x * this.scale;
    this.top = py - y * this.scale;
    this.isAll = false;
  }

  recolour() {
    this.groundView = null;
    this.sprites = null;
  }

  #drawGround() {
    const pen = this.ground.getContext("2d", { alpha: false }), { width, height } = this.ground;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = colourOf("ground");
    pen.fillRect(0, 0, width, height);
    pen.setTransform(this.scale, 0, 0, this.scale, this.left, this.top);
    pen.fillStyle = colourOf("water");
    pen.fill(this.water, "evenodd");
    pen.lineCap = pen.lineJoin = "round";
    // Wider as one comes nearer, but never as wide as they are.
    const near = Math.min(3.5, Math.max(1, 6 * this.scale / this.ratio));
    [[2, 0.9], [1, 1.4], [0, 2.2]].forEach(([tier, pixels]) => {
      pen.strokeStyle = colourOf(`street-${tier}`);
      pen.lineWidth = (pixels * near * this.ratio) / this.scale;
      pen.stroke(this.streets[tier]);
    });
    this.groundView = [this.scale, this.left, this.top];
  }

  // While the map is moved, the streets drawn last are moved along; they are drawn anew when it rests.
  #showGround() {
    if (this.groundView === null) this.#drawGround();
    const [scale, left, top] = this.groundView, factor = this.scale / scale;
    if (factor !== 1 || left !== this.left || top !== this.top) {
      clearTimeout(this.settling);
      this.settling = setTimeout(() => { this.groundView = null; this.isDirty = true; }, 90);
      this.pen.fillStyle = colourOf("ground");
      this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    }
    this.pen.setTransform(factor, 0, 0, factor, this.left - factor * left, this.top - factor * top);
    this.pen.drawImage(this.ground, 0, 0);
    this.pen.setTransform(1, 0, 0, 1, 0, 0);
  }

  #makeSprites() {
    const r = this.ratio, near = this.scale / r;
    const radius = Math.round(4 * Math.min(7, 1.4 + 6 * Math.sqrt(near))) / 4;
    if (this.sprites && this.radius === radius && this.spriteRatio === r) return;
    this.radius = radius;
    this.spriteRatio = r;
    const halo = colourOf("halo"), size = 2 * (radius + 1.5) * r;
    this.sprites = this.day.stateKeys.map((key) => sprite(size, (pen) => {
      pen.beginPath();
      pen.arc(0, 0, radius * r, 0, 2 * Math.PI);
      pen.fillStyle = key === "off_duty" ? halo : colourOf(key);
      pen.fill();
      pen.lineWidth = 0.7 * r;
      pen.strokeStyle = halo;
      pen.stroke();
    }));
    const [young, older, old] = [0, 1, 2].map((i) => colourOf(`age-${i}`));
    this.ages = Array.from({ length: AGE_STEPS + 1 }, (_, step) => {
      const part = step / AGE_STEPS, half = (radius + 0.6 + 3.2 * part) * r;
      return sprite(2 * half + 3 * r, (pen) => {
        pen.beginPath();
        pen.moveTo(0, -half);
        pen.lineTo(half, 0);
        pen.lineTo(0, half);
        pen.lineTo(-half, 0);
        pen.closePath();
        pen.fillStyle = part < 0.5 ? mixed(young, older, 2 * part) : mixed(older, old, 2 * part - 1);
        pen.fill();
        pen.lineWidth = 1.1 * r;
        pen.strokeStyle = halo;
        pen.stroke();
      });
    });
  }

  draw(t) {
    this.#makeSprites();
    this.#showGround();
    if (this.chosen >= 0) this.#drawWay(t);
    const { day, pen, scale, left, top } = this, { width, height } = this.canvas;
    const margin = 12 * this.ratio;
    for (let state = 1; state < this.sprites.length; state++) {
      if (this.hidden.has(state) || day.counts[state] === 0) continue;
      const picture = this.sprites[state], half = picture.width / 2;
      for (let car = 0; car < day.numCars; car++) {
        if (day.state[car] !== state || !day.isSeen[car]) continue;
        const px = left + day.x[car] * scale, py = top + day.y[car] * scale;
        if (px > -margin && py > -margin && px < width + margin && py < height + margin) pen.drawImage(picture, px - half, py - half);
      }
    }
    this.#drawOrders(t);
    if (this.chosen >= 0) this.#drawRing();
    this.#drawBar();
  }

  #drawOrders(t) {
    const { day, pen, scale, left, top } = this, c = day.columns;
    for (const row of day.alive) {
      if (c.order_x[row] === day.facts.noCoordinate) continue;
      const lostMs = t - day.waitEnd[row], until = Math.min(t, day.waitEnd[row]);
      const step = Math.min(AGE_STEPS, Math.floor((AGE_STEPS * Math.max(0, until - c.order_waits[row])) / OLD_MS));
      const picture = this.ages[step], half = picture.width / 2;
      pen.globalAlpha = lostMs > 0 ? Math.max(0, 1 - lostMs / day.fadeMs) : 1;
      pen.drawImage(picture, left + c.order_x[row] * scale - half, top + c.order_y[row] * scale - half);
    }
    pen.globalAlpha = 1;
  }

  #drawWay(t) {
    const { day, pen, scale, left, top, ratio } = this, points = day.wayAhead(this.chosen, t);
    if (points.length === 0) return;
    pen.beginPath();
    pen.moveTo(left + day.x[this.chosen] * scale, top + day.y[this.chosen] * scale);
    for (const [x, y] of points) pen.lineTo(left + x * scale, top + y * scale);
    pen.lineWidth = 3 * ratio;
    pen.lineJoin = "round";
    pen.strokeStyle = colourOf(day.stateKeys[day.state[this.chosen]] || "ink");
    pen.stroke();
  }

  #drawRing() {
    const { day, pen, scale, left, top, ratio } = this;
    if (!day.state[this.chosen] || !day.isSeen[this.chosen]) return;
    pen.beginPath();
    pen.arc(left + day.x[this.chosen] * scale, top + day.y[this.chosen] * scale, (this.radius + 4) * ratio, 0, 2 * Math.PI);
    pen.lineWidth = 2 * ratio;
    pen.strokeStyle = colourOf("ink");
    pen.stroke();
  }

  // A bar of a round length.
  #drawBar() {
    const { pen, ratio, scale } = this, goal = (110 * ratio) / scale, size = 10 ** Math.floor(Math.log10(goal));
    const metres = Math.max(...[1, 2, 5].map((step) => step * size).filter((one) => one <= goal));
    const x = 14 * ratio, y = this.canvas.height - 12 * ratio;
    const text = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
    pen.lineWidth = 2 * ratio;
    pen.strokeStyle = pen.fillStyle = colourOf("soft");
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x + metres * scale, y);
    pen.stroke();
    pen.font = `${11 * ratio}px system-ui, sans-serif`;
    pen.fillText(text, x, y - 5 * ratio);
  }

  // The car or waiting order nearest to a place of the canvas, in pixels of the page.
  hit(cx, cy) {
    const { day, scale, left, top } = this, px = cx * this.ratio, py = cy * this.ratio;
    let best = ((this.radius + 6) * this.ratio) ** 2, found = null;
    for (let car = 0; car < day.numCars; car++) {
      const state = day.state[car];
      if (state === 0 || !day.isSeen[car] || this.hidden.has(state)) continue;
      const distance = (left + day.x[car] * scale - px) ** 2 + (top + day.y[car] * scale - py) ** 2;
      if (distance < best) [best, found] = [distance, { car }];
    }
    for (const order of day.alive) {
      const c = day.columns;
      const distance = (left + c.order_x[order] * scale - px) ** 2 + (top + c.order_y[order] * scale - py) ** 2;
      if (distance < best) [best, found] = [distance, { order }];
    }
    return found;
  }
}
