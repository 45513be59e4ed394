"""The page of `stgcn report` in a browser, without its window: Debian's `chromium`."""

import os
import shutil
from base64 import b64decode
from pathlib import Path

import pytest
from report_runs import QUICK, copy_of, evil_manifest, other_run, run

from stgcn_pyg.cli import main

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.usefixtures("narrow_backbone"),
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="there is no browser: apt-get install chromium chromium-driver",
    ),
]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = os.environ.get("STGCN_SCREENSHOTS")
TALLEST = 12_000  # pixels of a screenshot


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A run's page, that of two, of a run in pieces, and of people called `<script>`."""
    folder = tmp_path_factory.mktemp("pages")
    broken = copy_of(run(), folder / "broken")
    for name in ("checkpoint.ckpt", "config.yaml", "log/metrics.csv"):
        (broken / name).unlink()
    commands = {
        "one": [run()],
        "two": [run(), other_run()],
        "broken": [broken],
        "evil": [run(), "--dataset=manifest", f"--root={evil_manifest(folder)}"],
    }
    for name, command in commands.items():
        output = f"--output={folder / name}.html"
        assert main(["report", *map(str, command), output, *QUICK]) == 0
    return {name: folder / f"{name}.html" for name in commands}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One for all tests, which look at nothing but files."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Given its path, Selenium looks for no driver on the network.
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser):
    """Opens a page at a width, in light or dark, on screen or on paper."""

    def open_page(path: Path, width=1440, scheme="light", media="screen"):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        colours = {"name": "prefers-color-scheme", "value": scheme}
        emulated = {"media": media, "features": [colours]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
        browser.get(path.as_uri())
        return browser

    return open_page


def column(browser, name):
    """The cells of a column of the table of queries."""
    return browser.execute_script(
        """
        const table = [...document.querySelectorAll("table.sortable")].at(-1);
        const place = [...table.tHead.rows[0].cells].findIndex(c => c.innerText.startsWith(arguments[0]));
        return [...table.tBodies[0].rows].map(row => row.cells[place].innerText);
        """,  # noqa: E501
        name,
    )


def title_of(browser, name):
    """The title of that column."""
    table = browser.find_elements("css selector", "table.sortable")[-1]
    titles = table.find_elements("css selector", "thead th")
    return next(title for title in titles if title.text.startswith(name))


@pytest.mark.parametrize("width", [390, 800, 1440])
@pytest.mark.parametrize("name", ["one", "two", "broken", "evil"])
def test_nothing_is_wider_than_the_screen_and_nothing_goes_wrong(pages, show, name, width):
    browser = show(pages[name], width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    images = browser.find_elements("css selector", "svg image")
    assert (name == "broken") == (not images)
    assert "taken" not in browser.title
    if SCREENSHOTS:
        for scheme in ("light", "dark"):
            keep(show(pages[name], width, scheme), width, f"report-{name}-{width}-{scheme}.png")


def keep(browser, width, name):
    height = browser.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, TALLEST), "scale": 1}
    shot = {"format": "png", "clip": clip, "captureBeyondViewport": True}
    folder = Path(SCREENSHOTS)
    folder.mkdir(parents=True, exist_ok=True)
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", shot)
    (folder / name).write_bytes(b64decode(taken["data"]))


def test_a_column_is_sorted_down_then_up_and_says_so(pages, show):
    browser = show(pages["one"])
    before = column(browser, "Tracklet")
    title_of(browser, "AP, %").find_element("tag name", "button").click()
    scores = [float(cell) for cell in column(browser, "AP, %")]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
    assert title_of(browser, "AP, %").get_attribute("aria-sort") == "descending"
    assert sorted(column(browser, "Tracklet")) == sorted(before)
    title_of(browser, "AP, %").find_element("tag name", "button").click()
    assert [float(cell) for cell in column(browser, "AP, %")] == scores[::-1]
    assert title_of(browser, "AP, %").get_attribute("aria-sort") == "ascending"


def test_words_are_sorted_up_first_also_by_the_keyboard(pages, show):
    browser = show(pages["one"])
    title_of(browser, "Nearest").find_element("tag name", "button").send_keys("\ue007")
    cells = column(browser, "Nearest")
    assert cells == browser.execute_script(
        "return [...arguments[0]].sort((a, b) => a.localeCompare(b))", cells
    )
    assert title_of(browser, "Nearest").get_attribute("aria-sort") == "ascending"
    assert title_of(browser, "AP, %").get_attribute("aria-sort") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(pages, show, scheme):
    browser = show(pages["two"], scheme=scheme)
    paper = luminance(browser, "body", "background-color")
    assert (paper > 0.5) == (scheme == "light")
    for selector, name, least in (
        ("body", "color", 7),
        (".note", "color", 4.5),
        ("a[href='#run']", "color", 4.5),
        ("#lists svg text", "fill", 4.5),
        ("#training path[style*='style-0']", "stroke", 3),
        ("#training path[style*='style-1']", "stroke", 3),
        ("#results path[style*='style-5']", "stroke", 3),
    ):
        other = luminance(browser, selector, name)
        contrast = (max(paper, other) + 0.05) / (min(paper, other) + 0.05)
        assert contrast >= least, (selector, contrast)


def luminance(browser, selector, name):
    """Relative luminance, as WCAG 2 defines it."""
    element = browser.find_element("css selector", selector)
    channels = element.value_of_css_property(name).split("(")[1].rstrip(")").split(",")[:3]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (float(channel) / 255 for channel in channels)
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_on_paper_everything_is_open(pages, show):
    script = """
    const parts = [...document.querySelectorAll("details table, details svg")];
    return [parts.length, parts.filter(part => part.checkVisibility()).length];
    """
    on_screen = show(pages["one"]).execute_script(script)
    on_paper = show(pages["one"], media="print").execute_script(script)
    assert on_screen[1] == 0 and on_paper[0] == on_paper[1] > 10
    hidden = show(pages["one"], media="print").find_element("css selector", "nav")
    assert not hidden.is_displayed()
