"""From the arguments and options of a command to the scenario that it simulates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dispatch.sim.scenario_file import ScenarioFile


@dataclass(frozen=True)
class Day:
    """What the options of a command say of the day to simulate; None: nothing."""

    city: Path | None = None
    """a scenario file or the name of a packaged one, or else a city, or else the built-in city"""
    date: str | None = None
    drivers: str | None = None
    orders: int | None = None
    shift_hours: float | None = None
    window: float | None = None
    max_pickup: float | None = None
    seed: int | None = None
    zones: Path | None = None

    def scenario_file(self) -> ScenarioFile:
        """Give the scenario, with the options in place of its values.

        Without a scenario file, it is a city of machines: nobody cancels, declines, rests or charges.
        """
        values = {
            "day.date": self.date,
            "day.drivers": self.drivers,
            "day.orders": self.orders,
            "day.shift_h": self.shift_hours,
            "sim.window_s": self.window,
            "engine.max_pickup_s": self.max_pickup,
            "scenario.seed": self.seed,
            "zones.file": None if self.zones is None else str(self.zones.absolute()),
        }
        scenario = self._start()
        for key, value in values.items():
            if value is not None:
                scenario = scenario.with_value(key, value)
        if self.seed is not None and scenario.path is None:
            scenario = scenario.with_value("city.seed", self.seed)
        return scenario

    def _start(self) -> ScenarioFile:
        from dispatch.roads.city import City
        from dispatch.sim.scenario_file import ScenarioFile, is_scenario, load_scenario
        from dispatch.sim.scenario_tables import BUILT_IN

        machines = {"behaviour": {"preset": "none"}}
        if self.city is None:
            return ScenarioFile(machines)
        if is_scenario(self.city):
            return load_scenario(self.city)
        if not self.city.exists():
            City.load(self.city)  # tells what a city is, rather than where scenario files name one
        source = str(self.city)
        source = f"./{source}" if source == BUILT_IN else source
        return ScenarioFile(machines | {"city": {"source": source}})
