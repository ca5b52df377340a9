// The day: what is packed into the page, and what it says of any instant (milliseconds since the log's start).

const NEVER = 2 ** 31 - 1;

async function unpack(header, text) {
  const packed = new Uint8Array(text.length);
  const letters = atob(text);
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed.subarray(0, letters.length)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  const columns = {};
  let begin = 0;
  for (const [name, kind, length] of header) {
    if (kind === "u1") {
      columns[name] = raw.subarray(begin, begin + length);
      begin += length;
      continue;
    }
    // Differences, their first bytes first, then all second bytes, and so on.
    const column = new Int32Array(length), [b1, b2, b3] = [begin + length, begin + 2 * length, begin + 3 * length];
    for (let i = 0, value = 0; i < length; i++) {
      value = (value + (raw[begin + i] | (raw[b1 + i] << 8) | (raw[b2 + i] << 16) | (raw[b3 + i] << 24))) | 0;
      column[i] = value;
    }
    columns[name] = column;
    begin += 4 * length;
  }
  return columns;
}

// Last row of ascending array[begin .. end - 1] whose value is at most t, begin - 1 where there is none.
function lastUpTo(array, begin, end, t) {
  let low = begin - 1, high = end;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (array[middle] <= t) low = middle; else high = middle;
  }
  return low;
}

// The same, near where it was found the last time: time mostly moves on a little.
function followUpTo(array, begin, end, t, was) {
  let row = was;
  if (row >= begin && array[row] > t) return lastUpTo(array, begin, end, t);
  for (let steps = 0; steps < 4; steps++) {
    if (row + 1 >= end || array[row + 1] > t) return row;
    row++;
  }
  return lastUpTo(array, begin, end, t);
}

// Instants in ascending order, with the sum of their values before each.
function running(at, valueOf) {
  const keys = new Float64Array(at.length);
  let num = 0;
  for (let row = 0; row < at.length; row++) {
    if (at[row] >= 0 && at[row] < NEVER) keys[num++] = at[row] * at.length + row;
  }
  const sorted = keys.subarray(0, num).sort();
  const instants = new Int32Array(num), sums = new Float64Array(num + 1);
  for (let i = 0; i < num; i++) {
    instants[i] = Math.floor(sorted[i] / at.length);
    sums[i + 1] = sums[i] + valueOf(sorted[i] % at.length);
  }
  return { instants, sums };
}

function sumUpTo(series, t) {
  return series.sums[lastUpTo(series.instants, 0, series.instants.length, t) + 1];
}

class Day {
  constructor(facts, columns) {
    this.facts = facts;
    this.columns = columns;
    this.lengthMs = facts.lengthMs;
    this.numCars = columns.car_id_low.length;
    this.numOrders = columns.order_id_low.length;
    this.stateKeys = ["off_duty", ...facts.states.map(([key]) => key)];
    this.changeAt = Int32Array.from(columns.change_first.subarray(0, this.numCars), (first) => first - 1);
    this.legAt = Int32Array.from(columns.leg_first.subarray(0, this.numCars), (first) => first - 1);
    this.state = new Uint8Array(this.numCars);
    this.x = new Float32Array(this.numCars);
    this.y = new Float32Array(this.numCars);
    this.isSeen = new Uint8Array(this.numCars);
    this.counts = new Int32Array(this.stateKeys.length);
    this.waitEnd = this.#waitEnds();
    this.#makeSeries();
    this.startOrder = this.#orderOfStart();
    this.alive = [];
    this.nextOrder = 0;
    this.aliveAt = -1;
  }

  #waitEnds() {
    const c = this.columns, ends = new Int32Array(this.numOrders).fill(NEVER);
    for (const column of [c.order_picked_up, c.order_cancelled, c.order_expired]) {
      for (let row = 0; row < ends.length; row++) if (column[row] >= 0) ends[row] = Math.min(ends[row], column[row]);
    }
    return ends;
  }

  #makeSeries() {
    const c = this.columns, one = () => 1, { goldenResponseMs, goldenEtaMs } = this.facts;
    // Whether an answer was golden is known once it came, the order was lost, or the five minutes are over.
    const decided = new Int32Array(this.numOrders);
    for (let row = 0; row < decided.length; row++) {
      decided[row] = Math.min(c.order_waits[row] + goldenResponseMs, this.waitEnd[row]);
      if (c.order_accepted[row] >= 0) decided[row] = Math.min(decided[row], c.order_accepted[row]);
    }
    const inTime = (row) => c.order_accepted[row] >= 0 && c.order_accepted[row] - c.order_waits[row] <= goldenResponseMs;
    this.series = {
      submitted: running(c.order_submitted, one),
      completed: running(c.order_dropped_off, one),
      cancelled: running(c.order_cancelled, one),
      expired: running(c.order_expired, one),
      waitStarts: running(c.order_waits, one),
      waitEnds: running(this.waitEnd.map((end, row) => (end === NEVER ? NEVER : Math.max(end, c.order_waits[row]))), one),
      boarded: running(c.order_picked_up, one),
      waited: running(c.order_picked_up, (row) => Math.max(c.order_picked_up[row] - c.order_waits[row], 0)),
      decided: running(decided, one),
      golden: running(decided, (row) => (inTime(row) ? 1 : 0)),
      accepted: running(c.order_assigned, one),
      goldenEta: running(c.order_assigned, (row) => (c.order_quoted[row] >= 0 && c.order_quoted[row] <= goldenEtaMs ? 1 : 0)),
      driven: running(c.driven_at, (row) => Math.abs(c.driven_m[row])),
      empty: running(c.driven_at, (row) => Math.max(0, -c.driven_m[row])),
    };
  }

  #orderOfStart() {
    const { order_waits: waits } = this.columns;
    return Uint32Array.from(waits.keys()).sort((a, b) => waits[a] - waits[b]);
  }

  // Put every car where it is at the instant.
  moveTo(t) {
    const c = this.columns;
    this.counts.fill(0);
    for (let car = 0; car < this.numCars; car++) {
      const first = c.change_first[car];
      const change = followUpTo(c.change_at, first, c.change_first[car + 1], t, this.changeAt[car]);
      this.changeAt[car] = change;
      const state = change < first ? 0 : c.change_state[change];
      this.state[car] = state;
      this.counts[state]++;
      if (state > 0) this.#place(car, t);
      else this.isSeen[car] = 0;
    }
    this.#findWaiting(t);
  }

  #place(car, t) {
    const c = this.columns, first = c.leg_first[car];
    const leg = followUpTo(c.leg_from, first, c.leg_first[car + 1], t, this.legAt[car]);
    this.legAt[car] = leg;
    this.isSeen[car] = leg < first ? 0 : 1;
    if (leg < first) return;
    const begin = c.point_first[leg], end = c.point_first[leg + 1], from = c.leg_from[leg], to = c.leg_to[leg];
    const share = t >= to ? 65535 : (65535 * (t - from)) / (to - from);
    const at = t >= to ? end - 1 : Math.max(begin, lastUpTo(c.point_share, begin, end, share));
    this.x[car] = c.point_x[at];
    this.y[car] = c.point_y[at];
    if (at + 1 < end && t < to) {
      const span = c.point_share[at + 1] - c.point_share[at], part = span > 0 ? (share - c.point_share[at]) / span : 0;
      this.x[car] += part * (c.point_x[at + 1] - c.point_x[at]);
      this.y[car] += part * (c.point_y[at + 1] - c.point_y[at]);
    }
  }

  // Points still ahead on the way that a car is driving.
  wayAhead(car, t) {
    const c = this.columns, leg = this.legAt[car];
    if (!this.isSeen[car] || leg < c.leg_first[car] || t >= c.leg_to[leg]) return [];
    const share = (65535 * (t - c.leg_from[leg])) / (c.leg_to[leg] - c.leg_from[leg]), points = [];
    for (let i = c.point_first[leg]; i < c.point_first[leg + 1]; i++) {
      if (c.point_share[i] > share) points.push([c.point_x[i], c.point_y[i]]);
    }
    return points;
  }

  // Rows of the orders that wait, and of those that were lost less than fadeMs ago.
  #findWaiting(t) {
    const { order_waits: waits } = this.columns;
    if (t < this.aliveAt || t - this.aliveAt > 3_600_000) {
      this.alive.length = 0;
      this.nextOrder = 0;
    }
    while (this.nextOrder < this.numOrders && waits[this.startOrder[this.nextOrder]] <= t) {
      const row = this.startOrder[this.nextOrder++];
      if (this.waitEnd[row] > t - this.fadeMs) this.alive.push(row);
    }
    let kept = 0;
    for (const row of this.alive) {
      const lost = this.columns.order_picked_up[row] < 0;
      if (this.waitEnd[row] > t || (lost && this.waitEnd[row] > t - this.fadeMs)) this.alive[kept++] = row;
    }
    this.alive.length = kept;
    this.aliveAt = t;
  }

  fadeMs = 60_000;

  numWaiting(t) {
    return sumUpTo(this.series.waitStarts, t) - sumUpTo(this.series.waitEnds, t);
  }

  // The most orders that waited at one instant.
  mostWaiting() {
    const { waitStarts: { instants: starts }, waitEnds: { instants: ends } } = this.series;
    let most = 0, ended = 0;
    for (let i = 0; i < starts.length; i++) {
      while (ended < ends.length && ends[ended] <= starts[i]) ended++;
      most = Math.max(most, i + 1 - ended);
    }
    return most;
  }

  // What cars do at the instant that they were moved to last.
  stateCounts() {
    return Object.fromEntries(this.stateKeys.map((key, state) => [key, this.counts[state]]));
  }

  kpis(t) {
    const upTo = Object.fromEntries(Object.entries(this.series).map(([name, series]) => [name, sumUpTo(series, t)]));
    const hourAgo = t - 3_600_000, { boarded, waited } = this.series;
    const share = (part, whole) => (whole > 0 ? part / whole : null);
    const { occupied, occupied_next: occupiedNext, off_duty: offDuty } = this.stateCounts();
    const waitMs = share(upTo.waited - sumUpTo(waited, hourAgo), upTo.boarded - sumUpTo(boarded, hourAgo));
    return {
      submitted: upTo.submitted,
      waiting: upTo.waitStarts - upTo.waitEnds,
      open: upTo.submitted - upTo.completed - upTo.cancelled - upTo.expired,
      completed: upTo.completed,
      cancelled: upTo.cancelled,
      expired: upTo.expired,
      wait_s: waitMs === null ? null : waitMs / 1000,
      golden_five: share(upTo.golden, upTo.decided),
      golden_ten: share(upTo.goldenEta, upTo.accepted),
      empty: share(upTo.empty, upTo.driven),
      utilisation: share(occupied + occupiedNext, this.numCars - offDuty),
    };
  }

  id(kind, row) {
    const low = this.columns[`${kind}_id_low`][row], high = this.columns[`${kind}_id_high`][row];
    return String((BigInt(high) << 32n) | BigInt(low >>> 0));
  }

  // Everything about a car at the instant that it was moved to last.
  car(car) {
    const c = this.columns, change = this.changeAt[car], known = change >= c.change_first[car];
    const order = known ? c.change_order[change] : -1;
    let next = -1;
    if (this.stateKeys[this.state[car]] === "occupied_next") {
      for (let i = change + 1; i < c.change_first[car + 1] && next < 0; i++) {
        if (c.change_order[i] >= 0 && c.change_order[i] !== order) next = c.change_order[i];
      }
    }
    const name = (row) => (row < 0 ? null : this.id("order", row));
    return {
      id: this.id("car", car), state: this.stateKeys[this.state[car]], order: name(order), next: name(next),
      x: this.isSeen[car] ? this.x[car] : null, y: this.isSeen[car] ? this.y[car] : null,
    };
  }

  // Local time of an instant, to be read by the UTC getters of Date.
  local(t) {
    const { startAtMs, offsetsMin } = this.facts, at = startAtMs + t;
    const hour = Math.floor(at / 3_600_000) - Math.floor(startAtMs / 3_600_000);
    return new Date(at + 60_000 * offsetsMin[Math.min(Math.max(hour, 0), offsetsMin.length - 1)]);
  }
}
