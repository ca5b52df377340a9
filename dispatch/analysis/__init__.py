"""What an event log says: KPIs, invariants, reports."""

from dispatch.analysis.driver_table import DriverTable, driver_table
from dispatch.analysis.export import export_run, write_table
from dispatch.analysis.groups import KpiGroups, kpis_by
from dispatch.analysis.invariants import InvariantReport, check_invariants
from dispatch.analysis.kpi_list import KPI, KPIS, Kpi
from dispatch.analysis.kpis import Kpis, kpis
from dispatch.analysis.order_table import OrderTable, order_table
from dispatch.analysis.player import write_player
from dispatch.analysis.recorded import EmptyDriving, empty_km_share_recorded
from dispatch.analysis.report import write_report
from dispatch.analysis.run_record import RunRecord
from dispatch.analysis.series import KpiSeries, kpis_by_hour

__all__ = [
    "KPI",
    "KPIS",
    "DriverTable",
    "EmptyDriving",
    "InvariantReport",
    "Kpi",
    "KpiGroups",
    "KpiSeries",
    "Kpis",
    "OrderTable",
    "RunRecord",
    "check_invariants",
    "driver_table",
    "empty_km_share_recorded",
    "export_run",
    "kpis",
    "kpis_by",
    "kpis_by_hour",
    "order_table",
    "write_player",
    "write_report",
    "write_table",
]
