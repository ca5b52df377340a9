"""What tests of the registry share."""

import pytest

from dispatch.kernels import jit


@pytest.fixture
def scratch_registry(monkeypatch):
    """A registry of this test's own: kernels declared in it are not the package's."""
    jit.load_all()  # a module first loaded now would be missing from the real registry
    monkeypatch.setattr(jit, "KERNELS", {})
    return jit.KERNELS
