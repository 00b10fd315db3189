"""The page in a real browser: nothing is cut off at three widths, in light and dark, and it needs no script."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compress import report
from tests.report.made_up import make
from tests.report.made_up_generative import summarizers
from tests.report.test_page import ALSO_GOOD, GOOD, WORSE

pytestmark = pytest.mark.slow

SCREEN = 900
"""The height of a screen at 1400 px, in pixels."""
CUT_OFF = """() => [...document.querySelectorAll("main *, header *, footer *")].filter((one) => {
    const box = one.getBoundingClientRect();
    if (!box.width || one.closest(".unseen, svg")) return false;
    const region = one.closest(".scroll");
    const is_scrolled = region && region !== one && region.scrollWidth > region.clientWidth && region.tabIndex === 0;
    return !is_scrolled && (box.right > innerWidth + 1 || box.left < -1);
}).map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, or another that is installed."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed here")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module", params=["classifier", "summarizer"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report."""
    folder = tmp_path_factory.mktemp(request.param)
    run = make([ALSO_GOOD, GOOD, *WORSE], rows=8720, right=7700) if request.param == "classifier" else summarizers()
    run.save(folder)
    return report.write([folder], folder / "report.html", budget={"max_drop": 1.0, "min_speedup": 1.5}).html


def opened(browser: Any, file: Path, width: int = 1400, scheme: str = "light", **more: Any) -> Any:
    """A page without a network."""
    context = browser.new_context(
        viewport={"width": width, "height": SCREEN}, color_scheme=scheme, offline=True, **more
    )
    page = context.new_page()
    page.told = []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 768, 390])
def test_nothing_is_cut_off_and_axe_finds_no_violation(browser: Any, file: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = opened(browser, file, width, scheme)
    for unfolds in (False, True):
        if unfolds:
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []
        assert [one["id"] for one in axe.run(page).response["violations"]] == []
    assert page.told == []
    page.context.close()


def test_the_page_is_six_screens_high_at_most_and_eight_printed_pages(browser: Any, file: Path) -> None:
    page = opened(browser, file)
    assert page.evaluate("document.documentElement.scrollHeight") <= 6 * SCREEN
    printed = page.pdf(prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 8
    page.context.close()


def names(page: Any) -> list[str]:
    """The variants in the order of the table."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('tbody.variant .main th')].map((one) => one.firstChild.textContent.trim())"
    )
    return found


def test_a_click_and_a_key_sort_the_variants_and_leave_the_others_in_place(browser: Any, file: Path) -> None:
    page = opened(browser, file)
    everything = "[...document.querySelectorAll('.variants > tbody')].map((one) => one.className.split(' ')[0])"
    kinds, before = page.evaluate(everything), names(page)
    size = page.locator("th[data-sort=size]")
    size.locator("button").click()
    read = "[...document.querySelectorAll('tbody.variant')].map((one) => Number(one.dataset.size))"
    sizes = page.evaluate(read)
    assert sizes == sorted(sizes)
    assert size.get_attribute("aria-sort") == "ascending"
    size.locator("button").press("Enter")
    assert page.evaluate(read) == sorted(sizes, reverse=True)
    assert size.get_attribute("aria-sort") == "descending"
    page.locator("th[data-sort=rank] button").click()
    assert names(page) == before
    assert page.evaluate(everything) == kinds
    page.context.close()


def test_the_page_is_whole_without_its_script(browser: Any, file: Path) -> None:
    texts = []
    for runs in (True, False):
        page = opened(browser, file, java_script_enabled=runs)
        texts.append(sorted(page.locator("main").inner_text().split()))
        page.context.close()
    assert texts[0] == texts[1]
