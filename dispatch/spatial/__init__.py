"""Spatial indexes over positions in a plane."""
