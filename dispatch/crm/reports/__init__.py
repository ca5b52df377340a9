"""Operating figures by day, week and month."""
