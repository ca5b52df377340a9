import pytest


def test_without_a_command_it_helps(dispatch):
    _, out, err = dispatch()
    assert all(command in out + err for command in ("simulate", "compare", "warm-up"))


@pytest.mark.parametrize("options", [["--window", "soon"], ["--orders", "1.5"], ["--seed", "x"], ["--fast"]])
def test_what_is_no_number_or_no_option_is_named(dispatch, options):
    status, out, err = dispatch("simulate", *options)
    assert (status, out) == (2, "")
    assert options[0] in err
    assert "Traceback" not in err
