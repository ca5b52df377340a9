"""Merchants, stations, deliveries and energy."""
