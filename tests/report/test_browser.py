"""`report.html` in a headless Chromium: what a reader does with it, and what it must never do."""

import pytest

from bench.report.command import main
from tests.support.chromium import Chromium, executable
from tests.support.hostile_runs import TEXTS, hostile
from tests.support.synthetic_runs import ESTIMATORS, collection

pytestmark = pytest.mark.skipif(executable() is None, reason="needs Chromium: apt-get install chromium")
COLUMN = "Array.from(document.querySelectorAll('#{table} tbody tr:not([hidden])'), r => r.cells[{i}].{what})"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Two families, eight configurations, two seeds, and two figures; read only."""
    root = tmp_path_factory.mktemp("sweep")
    collection(root, families=("bernoulli", "vq"), estimators=ESTIMATORS[-8:], seeds=(0, 1))
    only = [word for name in ("final_elbo", "variance_vs_step") for word in ("--only", name)]
    assert main([str(root), *only]) == 0
    return root / "report" / "report.html"


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    hostile(root, seeds=(0,))
    assert main([str(root), "--only", "final_elbo"]) == 0
    return root / "report" / "report.html"


@pytest.fixture(autouse=True)
def _quiet(chromium):
    """No test leaves the page complaining, or asking for anything but itself and what it holds."""
    chromium.errors.clear()
    chromium.requests.clear()
    yield
    assert chromium.errors == []
    assert all(url.startswith(("file://", "data:")) for url in chromium.requests)
    assert len({url for url in chromium.requests if url.startswith("file://")}) <= 1


def column(chromium, table: str, i: int, what: str = "textContent") -> list:
    return chromium.evaluate(COLUMN.format(table=table, i=i, what=what))


def click(chromium, table: str, i: int) -> str:
    """Click the header of a column; how it says it is sorted."""
    header = f"document.querySelectorAll('#{table} thead th')[{i}]"
    chromium.evaluate(f"{header}.querySelector('button').click()")
    return chromium.evaluate(f"{header}.getAttribute('aria-sort')")


def test_a_column_of_numbers_sorts_by_value_and_back(chromium, report):
    chromium.open(report)
    headers = chromium.evaluate("Array.from(document.querySelectorAll('#comparison thead th'), h => h.textContent)")
    i = headers.index("noise x evaluations")
    assert click(chromium, "comparison", i) == "ascending"
    up = [float(v) for v in column(chromium, "comparison", i, "dataset.v || 'inf'")]
    assert up == sorted(up)  # what is missing is last
    assert len(set(up)) > 10
    assert click(chromium, "comparison", i) == "descending"
    down = [float(v) for v in column(chromium, "comparison", i, "dataset.v || '-inf'")]
    assert down == sorted(down, reverse=True)
    assert chromium.evaluate("document.querySelectorAll('#comparison [aria-sort]').length") == 1


def test_a_column_of_text_sorts_by_the_keyboard(chromium, report):
    chromium.open(report)
    chromium.evaluate("document.querySelectorAll('#runs thead th button')[3].focus()")
    before = column(chromium, "runs", 3)
    chromium.press("Enter", 13)
    after = column(chromium, "runs", 3)
    assert after == sorted(before)
    assert after != before


def test_a_filter_keeps_the_rows_with_all_its_words(chromium, report):
    chromium.open(report)
    everything = column(chromium, "runs", 3)
    chromium.evaluate("document.querySelector('#runs .filter input').focus()")
    chromium.type("RLOO k=2 vq")
    kept = chromium.evaluate("Array.from(document.querySelectorAll('#runs tbody tr:not([hidden])'), r => r.innerText)")
    assert len(kept) == 2
    assert all("rloo k=2" in row and "vq" in row for row in kept)
    said = chromium.evaluate("document.querySelector('#runs [role=status]').textContent")
    assert said == f"2 of {len(everything)}"
    chromium.evaluate("document.querySelector('#runs .filter input').select()")
    chromium.type("no such run")
    assert column(chromium, "runs", 3) == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(chromium, report, width):
    chromium.open(report, width=width)
    assert chromium.evaluate("innerWidth") == width
    assert chromium.evaluate("document.documentElement.scrollWidth") == width
    wide = chromium.evaluate("document.querySelector('#comparison table').scrollWidth")
    assert wide > 360  # it scrolls in its own box
    assert chromium.evaluate("document.querySelector('.card svg').getBoundingClientRect().width") <= width


STYLE = "getComputedStyle(document.querySelector('{of}')).{what}"


def test_dark_and_light(chromium, report):
    """Figures too: their ground is the card's, and their words are as readable as the page's."""
    seen = []
    for dark in (False, True):
        chromium.open(report, dark=dark)
        seen.append([chromium.evaluate(STYLE.format(of=of, what="backgroundColor")) for of in ("body", ".card")])
        words = chromium.evaluate(STYLE.format(of=".card svg.axes text", what="fill"))
        assert words == chromium.evaluate(STYLE.format(of="body", what="color"))
        painted = chromium.evaluate("Array.from(document.querySelectorAll('.card [style]'), e => e.style.cssText)")
        assert not [style for style in painted if "255, 255, 255" in style or "rgb(0, 0, 0)" in style]
    assert seen == [["rgb(255, 255, 255)"] * 2, ["rgb(20, 23, 27)", "rgb(26, 30, 36)"]]


def test_hostile_names_are_names(chromium, hostile_report):
    """No dialog and no error, which `_quiet` checks; sorted and filtered, they are still text."""
    chromium.open(hostile_report)
    click(chromium, "runs", 3)
    chromium.evaluate("document.querySelector('#pairs .filter input').focus()")
    chromium.type("<script>alert(1)</script>")
    assert len(column(chromium, "pairs", 1)) > 0
    labels = set(column(chromium, "runs", 3))
    assert all(any(text in label for label in labels) for text in TEXTS)
    assert chromium.evaluate("document.scripts.length") == 1
    assert chromium.evaluate("document.querySelectorAll('img:not(.strip), [onerror], [onmouseover]').length") == 0
    words = chromium.evaluate("document.querySelector('#figure-final_elbo .panels').textContent")
    assert all(text in words for text in TEXTS)
    chromium.evaluate("document.querySelector('.legend button').click()")


def test_a_script_of_another_is_refused(chromium, hostile_report, tmp_path):
    """The control: markup that did get in would be seen here, and the policy stops it."""
    broken = tmp_path / "broken.html"
    broken.write_text(hostile_report.read_text().replace("</main>", "<script>window.broken = 1</script></main>"))
    chromium.open(broken)
    assert chromium.evaluate("document.scripts.length") == 2
    assert chromium.evaluate("window.broken") is None
    assert any("Content Security Policy" in error for error in chromium.errors)
    chromium.errors.clear()


def test_it_prints(chromium, report):
    chromium.open(report)
    printed = chromium.call("Page.printToPDF", printBackground=False)["data"]
    assert len(printed) > 10_000
