"""Segments, campaigns, care, statistics."""
