"""Drivers, their cars, papers, shifts, money and scores."""
