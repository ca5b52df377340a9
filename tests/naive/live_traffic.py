"""Live traffic in plain Python: every mean knows when it was last touched, and decays from then on."""

from math import exp, log

EDGE, STRETCH, CELL, SLOW, CITY, DRIVER = range(6)


class Mean:
    """Weighted observations, and those that are doubted, all halving with time."""

    def __init__(self, half_ms):
        self.half_ms, self.at_ms = half_ms, None
        self.weight = self.total = self.doubted = self.doubted_total = 0.0
        self.last = self.doubter = None

    def at(self, at_ms):
        """Let time pass."""
        if self.at_ms is not None:
            factor = 0.5 ** ((at_ms - self.at_ms) / self.half_ms)
            self.weight *= factor
            self.total *= factor
            self.doubted *= factor
            self.doubted_total *= factor
        self.at_ms = at_ms
        return self

    def belief(self, at_ms, prior, around):
        """The mean, drawn to what is believed around."""
        self.at(at_ms)
        return (self.total + prior * around) / (self.weight + prior)

    def add(self, at_ms, weight, value):
        """Learn without doubt."""
        self.at(at_ms)
        self.weight += weight
        self.total += weight * value


class NaiveTraffic:
    """What the kernels are held against; `rates` as theirs."""

    def __init__(self, rates, stretch_of_edge, cell_of_edge):
        self.rates, self.stretch_of, self.cell_of = rates, stretch_of_edge, cell_of_edge
        self.means, self.clock_ms = {}, None

    def mean(self, level, row=0):
        """The mean of a row of a level."""
        return self.means.setdefault((level, row), Mean(self.rates.half_ms[level]))

    def _drawn(self, at_ms, level, row, around):
        return self.mean(level, row).belief(at_ms, self.rates.prior[level], around)

    def beliefs(self, at_ms, edge):
        """Logarithms of factors of all levels, from the edge to the city."""
        city = self._drawn(at_ms, CITY, 0, 0.0)
        slow = self._drawn(at_ms, SLOW, self.cell_of[edge], city)
        quick = self._drawn(at_ms, CELL, self.cell_of[edge], slow)
        stretch = self._drawn(at_ms, STRETCH, self.stretch_of[edge], quick)
        return self._drawn(at_ms, EDGE, edge, stretch), stretch, quick, slow, city

    def observe(self, at_ms, driver, duration_s, entries):
        """Learn from a way of (edge, usual seconds)."""
        self.clock_ms = at_ms
        beliefs = [self.beliefs(at_ms, edge)[0] for edge, _ in entries]
        believed_s = [usual_s * exp(belief) for (_, usual_s), belief in zip(entries, beliefs, strict=True)]
        if not sum(believed_s) > 0:
            return
        off = log(duration_s / sum(believed_s))
        runs = []
        for (edge, _), belief, took_s in zip(entries, beliefs, believed_s, strict=True):
            if not runs or runs[-1][0] != self.stretch_of[edge]:
                runs.append((self.stretch_of[edge], []))
            seen = max(min(belief + off, self.rates.clip), -self.rates.clip)
            runs[-1][1].append((edge, belief, seen, took_s / sum(believed_s)))
        for _, run in runs:
            self._observe_run(at_ms, driver, run)
        margin = self.rates.margin
        self.mean(DRIVER, driver).add(at_ms, 1.0, max(min(off, margin), -margin))

    def _observe_run(self, at_ms, driver, run):
        for edge, belief, seen, share in run:
            mean = self.mean(EDGE, edge).at(at_ms)
            around = belief + (belief * mean.weight - mean.total) / self.rates.prior[EDGE]
            self._learn_or_doubt(mean, driver, (seen, belief, around), share)
        share = sum(part for *_, part in run)
        if not share > 0:
            return
        first = run[0][0]
        seen = sum(one * part for _, _, one, part in run) / share
        _, belief, quick, slow, city = self.beliefs(at_ms, first)
        stretch, cell = self.mean(STRETCH, self.stretch_of[first]), self.cell_of[first]
        prior, slow_prior = self.rates.prior[STRETCH], self.rates.prior[SLOW]
        news = share * prior / (stretch.weight + prior)
        wide = news * slow_prior / (self.mean(SLOW, cell).weight + slow_prior)
        if self._learn_or_doubt(stretch, driver, (seen, belief, quick), share):
            for edge, other in enumerate(self.stretch_of):
                if other == self.stretch_of[first]:
                    mean = self.mean(EDGE, edge)
                    mean.weight = mean.total = mean.doubted = mean.doubted_total = 0.0
                    mean.doubter = None
        for level, row, middle, weight in (
            (CELL, cell, quick, news),
            (SLOW, cell, slow, news),
            (CITY, 0, city, wide),
        ):
            self.mean(level, row).add(at_ms, weight, self._near(seen, middle))

    def _near(self, value, middle):
        return max(min(value, middle + self.rates.margin), middle - self.rates.margin)

    def _learn_or_doubt(self, mean, driver, logs, share):
        """Learn an observation; tell whether it replaced older ones."""
        rates, (seen, belief, around) = self.rates, logs
        off = seen - belief
        weight = share * (rates.repeat if mean.last == driver else 1.0)
        mean.last = driver
        doubts = abs(off) > rates.doubt
        doubts |= abs(belief - around) > rates.margin and abs(seen - around) < abs(off)
        if mean.doubted > 0:
            suspected = mean.doubted_total / mean.doubted
            if doubts and (suspected - belief) * off < 0:
                mean.doubted = mean.doubted_total = 0.0
            doubts |= abs(seen - suspected) < abs(off)
        if doubts:
            doubted = share * (rates.repeat if mean.doubter == driver else 1.0)
            mean.doubter = driver
            mean.doubted += doubted
            mean.doubted_total += doubted * seen
            if mean.doubted >= rates.confirm:
                mean.weight, mean.total = rates.most, rates.most * mean.doubted_total / mean.doubted
                mean.doubted, mean.doubted_total, mean.doubter = 0.0, 0.0, None
                return True
        else:
            mean.doubted *= 1 - share
            mean.doubted_total *= 1 - share
        mean.weight += weight
        mean.total += weight * self._near(seen, belief)
        if mean.weight > rates.most:
            mean.total *= rates.most / mean.weight
            mean.weight = rates.most
        return False

    def known(self, at_ms, driver, entries):
        """What a query is told."""
        at_ms = max(at_ms, self.clock_ms or at_ms)
        city = self._drawn(at_ms, CITY, 0, 0.0)
        row = [city, city, city, city, 0.0, 0.0, 0.0, 0.0]
        usual_s = sum(took_s for _, took_s in entries)
        if usual_s > 0:
            found = [(self.beliefs(at_ms, edge), edge, took_s / usual_s) for edge, took_s in entries]
            row[1] = log(sum(part * exp(beliefs[0]) for beliefs, _, part in found))
            row[2] = sum(part * beliefs[2] for beliefs, _, part in found)
            row[3] = sum(part * beliefs[3] for beliefs, _, part in found)
            row[4] = sum(part * self.mean(STRETCH, self.stretch_of[edge]).weight for _, edge, part in found)
            row[5] = sum(part * self.mean(SLOW, self.cell_of[edge]).weight for _, edge, part in found)
        if driver is not None:
            row[6] = self._drawn(at_ms, DRIVER, driver, 0.0)
            row[7] = self.mean(DRIVER, driver).weight
        return row
