"""The figures of `report.html` in a headless Chromium: pointer, keyboard, legend, slider, narrow window, print."""

import re

import pytest

from bench.report.collection.collect import collect, find
from bench.report.command import main
from bench.report.page.averaged import averages
from tests.support.chromium import BOX, Chromium, executable, pointer, printed
from tests.support.synthetic_runs import ESTIMATORS, collection

pytestmark = pytest.mark.skipif(executable() is None, reason="needs Chromium: apt-get install chromium")
DRAWN = ("final_elbo", "variance_vs_step", "bias_vs_variance")
DIM = """(() => {
  const of = (dim) => Array.from(document.querySelectorAll('#figures [data-s]')).filter(
    (e) => e.classList.contains('dim') === dim);
  return [[...new Set(of(false).map((e) => e.dataset.s))], [...new Set(of(true).map((e) => e.dataset.s))],
    new Set(of(true).map((e) => e.closest('figure').id)).size];
})()"""
HIDDEN = """Array.from(document.querySelectorAll('.card .panels [data-s]')).filter(
  (e) => getComputedStyle(e).visibility === 'hidden')"""
TABLE = (
    "Array.from(document.querySelector('.averages').tBodies[0].rows, r => [r.cells[0].innerText, r.cells[1].innerText])"
)
TIP = "document.getElementById('tip')"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    assert browser.errors == []
    browser.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two families, eight configurations, three seeds, and three figures; read only."""
    root = tmp_path_factory.mktemp("sweep")
    collection(root, families=("bernoulli", "categorical"), estimators=ESTIMATORS[-8:])
    assert main([str(root), *(word for name in DRAWN for word in ("--only", name))]) == 0
    return root


@pytest.fixture(scope="module")
def report(root):
    return root / "report" / "report.html"


def test_a_point_says_name_value_interval_and_setting(chromium, report):
    chromium.open(report)
    assert chromium.evaluate(f"{TIP}.hidden")
    pointer(chromium, "#figure-variance_vs_step svg.axes circle[data-s='rloo k=2']")
    assert not chromium.evaluate(f"{TIP}.hidden")
    name, value, setting = chromium.evaluate(f"{TIP}.innerText").split("\n")
    assert name == "rloo k=2"
    assert re.fullmatch(r"step \d+: [\d.]+ \[[\d.]+, [\d.]+\]", value)
    assert setting == "bernoulli"
    x, y, width, _ = chromium.evaluate(BOX.format(of=TIP))
    assert 0 <= x < x + width <= 1280
    assert y >= 0
    pointer(chromium, "#figures-title")
    assert chromium.evaluate(f"{TIP}.hidden")


def test_a_click_lights_one_estimator_in_every_figure_until_escape(chromium, report):
    chromium.open(report)
    assert chromium.evaluate(DIM)[1:] == [[], 0]
    pointer(chromium, "#figure-final_elbo svg.axes circle[data-s='rebar']", "mousePressed", "mouseReleased")
    lit, dim, figures = chromium.evaluate(DIM)
    assert lit == ["rebar"]
    assert len(dim) == 7
    assert figures == len(DRAWN)
    chromium.press("Escape", 27)
    assert chromium.evaluate(DIM)[1:] == [[], 0]


def test_the_focus_of_the_keyboard_lights_and_enter_hides(chromium, report):
    chromium.open(report)
    buttons = "#figure-variance_vs_step .legend button"
    names = chromium.evaluate(f"Array.from(document.querySelectorAll({buttons!r}), b => b.dataset.s)")
    chromium.evaluate(f"document.querySelector({buttons!r}).focus()")
    chromium.press("Tab", 9)
    assert chromium.evaluate("document.activeElement.dataset.s") == names[1]
    assert chromium.evaluate(DIM)[0] == [names[1]]
    chromium.press("Enter", 13)
    assert chromium.evaluate(f"[...new Set({HIDDEN}.map(e => e.dataset.s))]") == [names[1]]
    assert chromium.evaluate(f"new Set({HIDDEN}.map(e => e.closest('figure').id)).size") == len(DRAWN)
    pressed = "Array.from(document.querySelectorAll('.legend [aria-pressed=false]'), b => b.dataset.s)"
    assert set(chromium.evaluate(pressed)) == {names[1]}
    chromium.press("Enter", 13)
    assert chromium.evaluate(f"{HIDDEN}.length") == 0
    chromium.evaluate("document.activeElement.blur()")
    assert chromium.evaluate(DIM)[1:] == [[], 0]


@pytest.mark.parametrize("power", [0, 3, 10])
def test_the_slider_ranks_by_squared_bias_and_noise_over_m(chromium, root, report, power):
    chromium.open(report)
    chromium.evaluate("document.querySelector('.slider input').focus()")
    for _ in range(power):
        chromium.press("ArrowRight", 39)
    assert chromium.evaluate("document.querySelector('.slider output').textContent") == str(2**power)
    panel = next(iter(averages(collect(find([root]))[0]).values()))
    ordered = sorted(panel.entries, key=lambda e: e.error(2**power)[0])
    ties = {e.label for e in panel.entries if panel.ties(e, 2**power)}
    shown = [[e.label, f"{'≈ ' if e.label in ties else ''}{panel.shown(e, 2**power)}"] for e in ordered]
    assert chromium.evaluate(TABLE) == shown


def test_averaging_changes_who_leads(root):
    """The control of the one above: the order is not the same throughout."""
    panel = next(iter(averages(collect(find([root]))[0]).values()))
    first = [min(panel.entries, key=lambda e: e.error(m)[0]).label for m in (1, 1024)]
    assert first[0] != first[1]


@pytest.mark.parametrize(("width", "rows"), [(390, 2), (1280, 1)])
def test_a_phone_shows_one_panel_a_row(chromium, report, width, rows):
    chromium.open(report, width=width)
    panels = "document.querySelectorAll('#figure-variance_vs_step svg.axes')"
    tops = chromium.evaluate(f"Array.from({panels}, s => Math.round(s.getBoundingClientRect().top / 40))")
    assert len(tops) == 2
    assert len(set(tops)) == rows
    heights = chromium.evaluate(
        "Array.from(document.querySelectorAll('.panels svg.axes text'), t => t.getBoundingClientRect().height)"
    )
    assert min(height for height in heights if height) > 6
    assert chromium.evaluate("document.documentElement.scrollWidth") == width


def test_print_repeats_the_headings_of_a_table(chromium, report):
    """What hiding the words of the headings takes from all pages is what it takes from one, times the pages."""
    taken, pages = [], []
    style = "document.head.insertAdjacentHTML('beforeend', '<style>{}</style>')"
    for rows in ("table-row-group", "none"):
        chromium.open(report)
        alone = f"header, section:not(:has(#pairs)) {{display: none}} tbody {{display: {rows} !important}}"
        chromium.evaluate(style.format(alone))
        shown, count = printed(chromium)
        chromium.evaluate(style.format("#pairs th {visibility: hidden}"))
        without, same = printed(chromium)
        assert same == count
        taken, pages = [*taken, shown - without], [*pages, count]
    assert pages[0] > pages[1] == 1
    assert taken[0] > (pages[0] - 0.5) * taken[1] > 0  # other lines of a heading have other blanks


def test_a_heading_is_printed_on_the_page_of_its_first_panels(chromium, report):
    chromium.open(report)
    alone = """header, section:not(#figures), figure:not(h3 + .facts + figure), .legend, figcaption,
      .card .facts, .panels svg.axes ~ svg.axes, .panels svg:not(.axes) {display: none}
      .panels svg.axes {height: 30cm !important}"""
    chromium.evaluate(f"document.head.insertAdjacentHTML('beforeend', {f'<style>{alone}</style>'!r})")
    shown, pages = printed(chromium)
    assert (shown > 10, pages) == (True, 1)


def test_the_words_at_a_point_need_no_more_lines_near_the_edge(chromium, report):
    chromium.open(report, width=390)
    circles, x = "document.querySelectorAll('#figure-variance_vs_step circle[data-s]')", "getBoundingClientRect().x"
    chromium.evaluate(f"[...{circles}].reduce((a, b) => a.{x} > b.{x} ? a : b).setAttribute('id', 'edge')")
    boxes = []
    for left in ("0px", "370px"):  # where the words of another point stood before
        chromium.evaluate(f"{TIP}.style.left = '{left}'")
        pointer(chromium, "#edge")
        boxes.append(chromium.evaluate(BOX.format(of=TIP)))
        pointer(chromium, "#figures-title")
    assert boxes[0] == boxes[1]
    assert 200 < boxes[0][0] + boxes[0][2] <= 390


def test_what_answers_to_a_pointer_is_not_printed(chromium, report):
    chromium.open(report)
    chromium.call("Emulation.setEmulatedMedia", media="print")
    controls = "Array.from(document.querySelectorAll('nav, .filter, .slider, #tip, .howto, figcaption details'))"
    assert chromium.evaluate(f"{controls}.filter(e => e.offsetParent !== null).length") == 0
    chromium.call("Emulation.setEmulatedMedia", media="")


def test_no_mark_is_black_in_the_dark(chromium, report):
    """A marker that is black says so by having no colour of its own: then it has that of the panel."""
    chromium.open(report, dark=True)
    assert (
        chromium.evaluate("getComputedStyle(document.querySelector('.panels svg.axes')).fill") == "rgb(255, 255, 255)"
    )
    inks = "Array.from(document.querySelectorAll('.panels svg.axes use'), e => getComputedStyle(e).{})"
    for ink in ("fill", "stroke"):
        assert "rgb(0, 0, 0)" not in chromium.evaluate(inks.format(ink))


def test_no_words_of_a_phones_answer_overlap(chromium, report):
    """Nor where a criterion has more lines than what was found."""
    chromium.open(report, width=390)
    chromium.evaluate("for (const cell of document.querySelectorAll('.answer td')) cell.innerHTML = '<span>-</span>'")
    cells = "Array.from(document.querySelectorAll('.answer td'), d => [d.clientHeight, d.scrollHeight])"
    assert all(shown >= needed for shown, needed in chromium.evaluate(cells))
    beside = "Array.from(document.querySelectorAll('.answer td > *'), e => e.getBoundingClientRect().left)"
    assert min(chromium.evaluate(beside)) > 100
