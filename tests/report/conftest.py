"""What every test of the report starts from."""

from __future__ import annotations

import pytest

from tests.report.made_up import MakeRun, make


@pytest.fixture
def make_run() -> MakeRun:
    """A function that makes the measurements of a run."""
    return make
