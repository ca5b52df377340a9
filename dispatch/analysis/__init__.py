"""What an event log says: KPIs, invariants, reports."""

from dispatch.analysis.driver_table import DriverTable, driver_table
from dispatch.analysis.kpi_list import KPI, KPIS, Kpi
from dispatch.analysis.kpis import Kpis, kpis
from dispatch.analysis.order_table import OrderTable, order_table

__all__ = [
    "KPI",
    "KPIS",
    "DriverTable",
    "Kpi",
    "Kpis",
    "OrderTable",
    "driver_table",
    "kpis",
    "order_table",
]
