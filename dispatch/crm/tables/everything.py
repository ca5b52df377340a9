"""Imports every module that defines tables, so that ``metadata`` holds all of them."""

from __future__ import annotations

from dispatch.crm.tables import engagement, fleet, loyalty, orders, people, service
from dispatch.crm.tables.base import metadata

__all__ = ["engagement", "fleet", "loyalty", "metadata", "orders", "people", "service"]
