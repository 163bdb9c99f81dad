"""`report.html` as a file: whole, self-contained, accessible, and with no markup but its own."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from bench.report.command import main
from bench.report.figures.catalogue import AT_CHECKPOINTS, FIGURES
from bench.report.options import named
from bench.report.page.numbers import nats, number, percent
from bench.tables.store import write
from tests.support.hostile_runs import REASON, TEXTS, hostile
from tests.support.synthetic_runs import SOME, collection, config, place, runs_row

CSS = (Path(__file__).resolve().parents[2] / "bench" / "report" / "page" / "page.css").read_text()
DRAWN = ("variance_vs_step", "final_elbo", "shared_bias")


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {k: v or "" for k, v in attrs}))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The page of hostile runs, with three figures; read only."""
    root = tmp_path_factory.mktemp("hostile")
    hostile(root)
    (root / "0123456789ab").mkdir()  # a run that has not ended
    only = [word for name in DRAWN for word in ("--only", name)]
    assert main([str(root), "--out", str(root / "report"), *only]) == 0
    return root / "report" / "report.html"


@pytest.fixture(scope="module")
def page(made) -> Page:
    return Page(made.read_text())


def test_no_text_becomes_markup(page):
    assert len(page.all("script")) == 1
    assert not [a for _, a in page.elements for name in a if name.startswith("on")]
    assert {tag for tag, _ in page.elements} & {"iframe", "object", "embed", "form", "link", "base"} <= {"link"}
    assert all(a["src"].startswith("data:image/png;base64,") for a in page.all("img"))
    text = "".join(page.text)
    for words in (*TEXTS, REASON):
        assert words in text
    assert "49" not in re.findall(r"&lt;b&gt; (\S+)", text)  # the template is not rendered twice


def test_a_page_that_does_not_escape_is_found(made):
    broken = Page(made.read_text().replace("&lt;", "<").replace("&gt;", ">"))
    assert len(broken.all("script")) > 1


def test_the_policy_allows_this_script_and_nothing_from_elsewhere(made, page):
    text = made.read_text()
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    [policy] = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    addresses = [a[k] for _, a in page.elements for k in ("src", "href", "xlink:href", "action") if k in a]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not re.search(r"@import|url\((?!#)", text)


def test_ids_do_not_clash_and_links_lead_somewhere(page):
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name, value in attributes.items():
            for target in re.findall(r"url\(#(.*?)\)", value) + (
                [value[1:]] if value.startswith("#") and name.endswith("href") else []
            ):
                assert target in ids
        assert attributes.get("aria-labelledby", ids[0]) in ids


def test_it_is_accessible(page):
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert all(a.get("alt") for a in page.all("img"))
    assert all(a.get("role") == "img" and a.get("aria-label") for a in page.all("svg"))
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in page.all("div") if a.get("class") == "scroll")


def test_it_says_what_was_measured_how_often_and_how_it_was_made(page):
    text = " ".join("".join(page.text).split())
    assert "30 of 31 runs are complete: 24 done, 6 failed" in text
    assert "along its own" not in text or "Along own trajectories" in text
    for words in ("Along own trajectories", "At shared checkpoints", "part: encoder. Reference: exact.", "3 seeds"):
        assert words in text
    for name in DRAWN:
        assert f"--only {name}" in text
    assert f"python -m bench {TEXTS[1]}" in text
    assert "2 of 3 codes used" in text


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("ground", ["paper", "tint"])
def test_contrast(scheme, ground):
    """WCAG 2.1 AA: 4.5 for text, in the light and in the dark colours."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
    colours = [dict(re.findall(r"--(\w+): #(\w{6})", block)) for block in blocks]

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    of = colours[scheme]
    for name in ("ink", "soft", "link", "good", "unsure"):
        low, high = sorted((luminance(of[name]), luminance(of[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_the_path_of_the_page_is_printed_last(tmp_path, capsys):
    collection(tmp_path, families=("bernoulli",), estimators=SOME[:2], seeds=(0,))
    assert main([str(tmp_path), "--only", "final_elbo"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"All on one page: {tmp_path / 'report' / 'report.html'}"
    assert (tmp_path / "report" / "report.html").read_text().startswith("<!doctype html>")


def test_a_sweep_in_which_nothing_worked_has_a_page_too(tmp_path):
    for seed, (status, name) in enumerate((("failed", "rloo"), ("skipped", "arm"), ("diverged", "a\x00b"))):
        row = runs_row(config(name, "vq", seed), name, status=status, reason=f"no {name}")
        write(tmp_path / row["run"], {"runs": [row]})
    assert main([str(tmp_path)]) == 0
    text = " ".join("".join(Page((tmp_path / "report" / "report.html").read_text()).text).split())
    assert "3 runs, all complete: 1 failed, 1 diverged, 1 skipped" in text
    assert "nothing to compare" in text
    assert "no rloo" in text


def test_control_characters_do_not_break_a_figure(tmp_path):
    place(tmp_path, config("a", "bernoulli", 0), estimator="a\x00b\nc")
    assert main([str(tmp_path), "--only", "final_elbo"]) == 0


def test_only_takes_words_of_names():
    assert named("bias") == ["bias"]
    assert named("variance") == [n for n in [*FIGURES, *AT_CHECKPOINTS] if "variance" in n]
    assert named("elbo") == ["elbo_vs_step", "elbo_vs_seconds", "final_elbo"]
    assert named("shared_bias") == ["shared_bias"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (713.53, "714"), (9249.2, "9249"), (0.0012345, "0.00123"), (1.5, "1.50"), (5.9e9, "5.9e+09"),
     (-3.069, "−3.07"), (float("nan"), ""), (None, ""), (2e-5, "2e−05")],
)  # fmt: skip
def test_numbers(value, shown):
    assert number(value) == shown


def test_bounds_keep_their_tenths_and_nothing_is_certain():
    assert nats(-144.43, -148.15, -140.71) == "−144.4 [−148.2, −140.7]"
    assert nats(-0.2231) == "−0.223"
    assert percent(0.99999) == "> 99.9 %"
    assert percent(0.5) == "50.0 %"
