"""Writes `reports/report.schema.json`, the published schema of `report.json`, from `compress.report.schema`.

`make format` runs it: python -m tests.report.schema_file
"""

from __future__ import annotations

from compress.core import shipped
from compress.report import schema

FILE = shipped.folder("reports") / schema.FILE

if __name__ == "__main__":
    FILE.write_text(schema.as_text(), encoding="utf-8")
