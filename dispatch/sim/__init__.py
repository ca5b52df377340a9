"""Simulated days that drive the engine through its public calls."""
