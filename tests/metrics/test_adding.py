"""A metric is one file: the one that `docs/adding.md` shows is found, chosen, measured, compared and reported, as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

ROOT = Path(__file__).parents[2]
USE = """
import json
import sys
from pathlib import Path
import numpy as np
import compress
from compress import report
from compress.core import catalogue
from compress.data.description import resolve
from compress.measure.quality import quality
from compress.tasks import scoring
from tests.report.made_up import USUAL, make

own = {"name": "mine", "data": "d", "text": "a", "label": "b", "labels": ["x", "y", "z"], "metric": "kappa"}
metrics = scoring.metrics(resolve(own)[0])
right = np.arange(60) % 3.0
(measured,) = quality("f", np.where(right == 1, 2.0, right), tuple(right), metrics, {})
folder = Path(sys.argv[1])
make(USUAL, metrics=("kappa", "accuracy")).save(folder)
files = report.write([folder], folder / "report.html")
print(json.dumps({
    "from": compress.__file__, "listed": catalogue.summary("metrics", "kappa"), "value": measured.value,
    "interval": measured.interval, "unit": measured.unit, "report": files.markdown.read_text(),
}))
"""


@pytest.fixture(scope="module")
def snippet() -> str:
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    section = page.split("## ... a metric")[1].split("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return str(code)


def test_the_metric_of_the_page_is_scikit_learns_and_scores_each_pair_of_classes_once(snippet: str) -> None:
    module = ModuleType("kappa")
    exec(snippet, module.__dict__)
    random = np.random.default_rng(0)
    right = random.integers(0, 3, 500)
    predicted = np.where(random.random(500) < 0.6, right, random.integers(0, 3, 500))
    asked: list[int] = []
    statistics = module.METRIC.statistics

    def watched(*sides: np.ndarray) -> np.ndarray:
        asked.append(len(sides[0]))
        return np.asarray(statistics(*sides))

    object.__setattr__(module.METRIC, "statistics", watched)
    score = module.METRIC.scorer(predicted, right)
    for _ in range(50):
        rows = random.integers(0, 500, 500)
        assert score(rows) == pytest.approx(cohen_kappa_score(right[rows], predicted[rows]))
    assert asked == [9]


def test_its_file_alone_makes_it_a_metric_in_tasks_measurements_and_reports(snippet: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "compress", tmp_path / "compress", ignore=shutil.ignore_patterns("__pycache__"))
    for beside in ("reports", "pyproject.toml"):
        (tmp_path / beside).symlink_to(ROOT / beside)
    (tmp_path / "compress" / "metrics" / "kappa.py").write_text(snippet, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path / "run")],
        capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert Path(found["from"]).is_relative_to(tmp_path)
    assert found["listed"].startswith("Cohen's kappa: how far")
    assert found["value"] == pytest.approx(0.5)
    assert found["interval"][0] < 0.5 < found["interval"][1]
    assert found["unit"] == "coefficient"
    assert "| Cohen's kappa" in found["report"]
    assert "Kappa" not in found["report"]
