"""Import, export, backup."""
