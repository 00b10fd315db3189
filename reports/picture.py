"""Makes the README's example of a report from a run: reports/examples/quickstart.html, and a picture of its first screen.

python reports/picture.py runs/quickstart
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
EXAMPLES = Path(__file__).parent / "examples"


def main() -> None:
    """Copy the page, and take a picture of 1,400 by 900 pixels of it."""
    from playwright.sync_api import sync_playwright

    page_file = EXAMPLES / "quickstart.html"
    shutil.copy(Path(sys.argv[1]) / "report.html", page_file)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM if CHROMIUM.exists() else None)
        page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
        page.goto(page_file.resolve().as_uri())
        page.screenshot(path=EXAMPLES / "quickstart.png")
        browser.close()


if __name__ == "__main__":
    main()
