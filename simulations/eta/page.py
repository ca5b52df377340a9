"""The page of the study of ETAs, from the figures of its runs."""

import itertools

from dispatch.analysis.paired import mean_interval, paired_interval

COLUMNS = {
    "late5": ("> 5 min late", 4),
    "late2": ("> 2 min late", 4),
    "mae_s": ("MAE, s", 1),
    "bias_s": ("bias, s", 1),
    "golden5": ("golden five", 4),
    "golden10": ("golden ten", 4),
    "ten": ("in ten minutes", 4),
    "wait_s": ("wait, s", 1),
    "served": ("served", 4),
    "empty": ("empty", 4),
    "true": ("misses: precision", 3),
    "recall": ("recall", 3),
}
LENGTHS_M = (1, 250, 500, 1000, 2000, 4000)
"""Where bands of metres driven to a pickup begin."""
BY_DAY = ("late5", "late2", "mae_s", "bias_s", "ten", "wait_s")
PAIRS = (
    ("learnt", "by hour"),
    ("learnt", "by hour and length"),
    ("learnt", "true medians"),
    ("learnt + streets", "learnt"),
    ("learnt + streets", "by hour and length"),
    ("learnt, promise", "learnt"),
    ("learnt, promise", "by hour, promise"),
    ("learnt, rescue", "learnt"),
    ("learnt, rescue", "by hour, rescue"),
    ("learnt + streets, rescue", "learnt + streets"),
)
BETTER = {"late5": -1, "late2": -1, "mae_s": -1, "ten": 1, "wait_s": -1, "empty": -1, "true": 1, "recall": 1}
"""Which way is better; of ETAs that promise more, golden ten is higher, so it says nothing by itself"""


def told(interval, digits, sign=False):
    if interval.mean is None:
        return "–"
    plus = "+" if sign else ""
    text = f"{interval.mean:{plus}.{digits}f}"
    return text if interval.half_width is None else f"{text} ± {interval.half_width:.{digits}f}"


def table(head, rows):
    lines = ["| | " + " | ".join(head) + " |", "|---|" + "---|" * len(head)]
    return [*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows), ""]


def band_names():
    """Names of bands of metres."""
    between = [f"{low:,} … {high:,} m" for low, high in itertools.pairwise(LENGTHS_M)]
    return ["0 m", *between, f"from {LENGTHS_M[-1]:,} m"]


class Page:
    """Figures by truth, date, seed and engine."""

    def __init__(self, runs, known, study):
        self.runs, self.wall, self.trips, self.study = runs, known["wall"], known["trips"], study
        self.truths, self.dates, self.seeds, self.engines = (
            list(dict.fromkeys(key[part] for key in runs)) for part in range(4)
        )

    def values(self, truth, engine, name, dates=None):
        """A figure of each day and seed."""
        return [
            self.runs[truth, date, seed, engine][name] for date in dates or self.dates for seed in self.seeds
        ]

    def difference(self, truth, one, other, name):
        return paired_interval(self.values(truth, one, name), self.values(truth, other, name))

    def introduction(self):
        trips = self.study.model.report.get("trips", {}).get("used", 0)
        return [
            "# What ETAs are worth to a dispatcher",
            "",
            f"Made by `python -m simulations.eta.make`: recorded days of San Francisco from {self.dates[0]} "
            f"to {self.dates[-1]}, {len(self.seeds)} seeds each; the recorded trips are the orders, the "
            "recorded taxis the drivers, on duty where their pings show it. Drivers accept everything and "
            "park; nobody cancels. The engine matches in windows of 30 s, and looks every minute at pickups "
            "under way. How long drives truly take was fitted on the trips of these days, which no ETA has "
            "seen; what the engine predicts with was learnt from the days before.",
            "",
            "Two truths, since none is the truth:",
            "",
            "- **by hour**: free flow, times a factor of the hour of the week, times noise by the length of "
            "the leg. All streets are alike: what a model has learnt of streets and quarters counts for "
            "nothing, or for error.",
            "- **by street**: times of each street, by which drivers also choose their ways, fitted on the "
            "held-out trips, then factors and noise as above. It is fitted as the model's streets are, on "
            "other trips: that is to the model's favour.",
            "",
            "ETAs: *free flow*; *by hour*, the factors fitted on the days before; *by hour and length*, "
            "these times the median noise of legs of that length; *learnt*, the median of the model "
            f"({trips:,} trips), without live traffic, of drivers nobody knows; *learnt + streets*, the "
            "same, but drives of less than 60 s by its streets alone, those up to 180 s in part; *true "
            "medians*, those of the truth itself: nobody can know more before a drive, but how slow the city "
            "is just now. "
            "Policies: batches; *promise* weighs the risk of missing ten minutes; *rescue* changes drivers "
            "where a miss is predicted.",
            "",
            "Late is later than quoted with the last acceptance. *Golden ten* counts what is quoted, and "
            "rewards ETAs that promise too much; *in ten minutes* counts who came within them.",
            "",
        ]

    def pooled(self, truth):
        rows = [
            (
                engine,
                [
                    told(mean_interval(self.values(truth, engine, name)), digits)
                    for name, (_, digits) in COLUMNS.items()
                ],
            )
            for engine in self.engines
        ]
        pairs = [
            (
                f"{one} − {other}",
                [
                    told(self.difference(truth, one, other, name), digits, True)
                    for name, (_, digits) in COLUMNS.items()
                ],
            )
            for one, other in PAIRS
        ]
        heads = [head for head, _ in COLUMNS.values()]
        num = len(self.dates) * len(self.seeds)
        return [
            f"## Truth {truth}",
            "",
            f"Means and 95 % intervals over {num} runs, {len(self.dates)} days × {len(self.seeds)} seeds.",
            "",
            *table(heads, rows),
            "Differences, run by run:",
            "",
            *table(heads, pairs),
        ]

    def lengths(self, truth):
        """Bias and mean error by metres driven to the pickup."""
        names = band_names()
        engines = [engine for engine in self.engines if "," not in engine]
        rows = []
        for band, name in enumerate(names):
            cells = []
            for engine in engines:
                num, late_s, size_s, took_s = self.banded(truth, engine, band)
                if engine == engines[0]:
                    share = num / sum(sum(one) for one in self.values(truth, engine, "num"))
                    cells += [f"{share:.3f}", f"{took_s:.0f}"]
                cells.append(f"{late_s:+.0f} / {size_s:.0f}")
            rows.append((name, cells))
        heads = ["share of pickups", "took, s", *(f"{engine}: bias / MAE, s" for engine in engines)]
        return [f"## By metres driven to the pickup, truth {truth}", "", *table(heads, rows)]

    def of_trips(self):
        names, trips = list(self.trips), self.trips
        bands = [*band_names()[1:][: len(trips[names[0]]) - 1], "all"]
        rows = [
            (
                band,
                [f"{trips[names[0]][row][0]:,}"]
                + [f"{trips[name][row][1]:.1f} / {trips[name][row][2]:+.1f}" for name in names],
            )
            for row, band in enumerate(bands)
        ]
        return [
            "## The held-out trips themselves",
            "",
            "No simulation: how long recorded trips took from the first of these days on, and what ETAs said "
            "of them, asked as the engine asks, from node to node, of a driver nobody knows, without live "
            "traffic. By metres of the quickest way.",
            "",
            *table(["trips", *(f"{name}: MAE / median error, s" for name in names)], rows),
        ]

    def verdict(self):
        """Where learnt ETAs help, and where they do not, by intervals that leave out 0."""
        lines = ["## Where the learnt model helps, and where it does not", ""]
        for truth in self.truths:
            for one, other in PAIRS:
                words = {"better": [], "worse": [], "no difference seen": []}
                for name, sign in BETTER.items():
                    interval = self.difference(truth, one, other, name)
                    if interval.mean is None:
                        continue
                    is_seen = interval.excludes_zero
                    where = (
                        "no difference seen"
                        if not is_seen
                        else "better"
                        if interval.mean * sign > 0
                        else "worse"
                    )
                    words[where].append(COLUMNS[name][0])
                told_of = "; ".join(f"{where}: {', '.join(names)}" for where, names in words.items() if names)
                lines.append(f"- Truth {truth}, {one} against {other}: {told_of}.")
        return [
            *lines,
            "",
            *self.short_drives(),
            "",
            "What the study cannot see: how empty taxis drive to a pickup nobody recorded, so both truths "
            "take it to be as with passengers, and a short drive to be a short part of a long one. And what "
            "is particular to some streets and hours, which the model knows and the truths do not, counts "
            "here as its error: on the held-out trips themselves, below, it is none.",
            "",
        ]

    def short_drives(self):
        """Tell what trips with passengers teach of drives around the corner."""
        for truth in self.truths:
            told_s = {
                engine: self.banded(truth, engine, 1)[1]
                for engine in ("learnt", "learnt + streets", "by hour")
            }
            figures = ", ".join(f"{engine} {late_s:+.0f} s" for engine, late_s in told_s.items())
            yield f"- Truth {truth}, pickups below {LENGTHS_M[1]} m, later than quoted by: {figures}."
        yield (
            "- Recorded trips so short take far longer than their way, as if passengers came back or let the "
            "taxi wait. The model has learnt that, and says it of any drive: near drivers look farther than "
            "they are, and drivers at the door look late, so that misses are predicted that are none. "
            "Streets' times for short drives mend it."
        )

    def banded(self, truth, engine, band):
        """Pickups of a band of metres: how many, and the means of seconds late, their size, seconds taken."""
        num, *sums = (
            sum(one[band] for one in self.values(truth, engine, part))
            for part in ("num", "sum_s", "size_s", "took_s")
        )
        return num, *(one / max(num, 1) for one in sums)

    def each_day(self, truth):
        engines = [engine for engine in self.engines if engine.startswith(("by hour", "learnt"))]
        rows = []
        for date in self.dates:
            for engine in engines:
                cells = [
                    told(mean_interval(self.values(truth, engine, name, [date])), COLUMNS[name][1])
                    for name in BY_DAY
                ]
                rows.append((f"{date}, {engine}", cells))
        return [f"## Each day, truth {truth}", "", *table([COLUMNS[name][0] for name in BY_DAY], rows)]

    def seconds(self):
        rows = [(engine, [f"{wall_s:.2f}"]) for engine, wall_s in self.wall.items()]
        return [
            "## Seconds of a day",
            "",
            f"{self.dates[0]}; only *rescue* watches pickups under way; one thread, least of three rounds.",
            "",
            *table(["seconds"], rows),
        ]


def page(runs, known, study):
    """The result as Markdown."""
    made = Page(runs, known, study)
    parts = [made.introduction()]
    parts += [made.pooled(truth) for truth in made.truths]
    parts += [made.verdict(), made.of_trips()]
    parts += [made.lengths(truth) for truth in made.truths]
    parts += [made.each_day(truth) for truth in made.truths]
    parts.append(made.seconds())
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"
