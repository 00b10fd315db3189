"""The memory that is shown: the peak of the process, and never that of a model whose file is only mapped."""

from __future__ import annotations

from compress.report import memory
from compress.report.comparison import compare
from tests.report.made_up import MakeRun


def test_the_peak_is_the_most_of_all_phases(make_run: MakeRun) -> None:
    for row in compare(make_run()).variants:
        peaks = [one.peak.value for one in row.memory.values() if one.peak.value is not None]
        assert len(set(peaks)) > 1
        assert memory.peak(row).value == max(peaks)


def test_what_a_loaded_torch_model_takes_is_absent_since_its_file_is_only_mapped(make_run: MakeRun) -> None:
    comparison = compare(make_run())
    assert comparison.root is not None
    assert comparison.baseline is not None
    assert memory.phases(comparison.root)["loaded"].peak.absent == memory.MAPPED
    assert memory.phases(comparison.baseline)["loaded"].peak.value is not None
