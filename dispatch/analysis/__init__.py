"""What an event log says: KPIs, invariants, reports."""
