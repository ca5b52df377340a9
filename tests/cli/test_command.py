import pytest

from dispatch.errors import InputError, StateError


def test_without_a_command_it_helps(dispatch):
    _, out, err = dispatch()
    assert all(command in out + err for command in ("simulate", "compare", "warm-up"))


@pytest.mark.parametrize("options", [["--window", "soon"], ["--orders", "1.5"], ["--seed", "x"], ["--fast"]])
def test_what_is_no_number_or_no_option_is_named(dispatch, options):
    status, out, err = dispatch("simulate", *options)
    assert (status, out) == (2, "")
    assert options[0] in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            InputError("until_ms is 1577836800000: it must be after 1700438400123"),
            "--until is 2020-01-01: it must be after 2023-11-20 00:00:00 UTC",
        ),
        (InputError("valid_from_ms is 1577836800000: no"), "--from is 2020-01-01: no"),
        (
            StateError("at_ms is 5: time goes backwards, the last change was at 1700438400000"),
            "at_ms is 5: time goes backwards, the last change was at 2023-11-20",
        ),
        (InputError("place is 'a/b': no"), "--place is 'a/b': no"),
        (InputError("member_no is 123456789012: no"), "member_no is 123456789012: no"),
        (InputError("at_ms is 5: key 'a-123456789012'"), "at_ms is 5: key 'a-123456789012'"),
    ],
)
def test_errors_are_told_in_the_words_of_who_typed(dispatch, monkeypatch, error, told):
    def fail():
        raise error

    monkeypatch.setattr("dispatch.cli.command.app", fail)
    assert dispatch() == (2, "", f"error: {told}\n")
