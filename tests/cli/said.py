"""What a command says."""


def assert_one_line(said, message):
    """The command failed and told why in one line."""
    status, out, err = said
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
