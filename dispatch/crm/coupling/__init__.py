"""The engine's events in, numbers about people out."""
