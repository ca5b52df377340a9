def test_kernels_are_compiled_ahead(dispatch):
    status, out, err = dispatch("warm-up")
    assert (status, err) == (0, "")
    assert out.endswith(" s for all kernels\n")
