"""Street networks: loading, synthesis, snapping, travel times."""
