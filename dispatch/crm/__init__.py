"""Customers, drivers, orders, memberships and complaints, in a database, and what they tell the engine."""
