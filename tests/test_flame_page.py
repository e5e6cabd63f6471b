"""A flamegraph in a page of its own: what the file says, and what a real Chromium shows of it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page

from analysis.flame import causes, functions, graph, profiles, standalone
from analysis.flame.because import Link, Sentence
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, parse
from analysis.words import number, percent
from benchmarks.record import load
from tests.browsers import COLOUR_RULES, Seen, chromium, violations

PROFILES = Path(__file__).parent / "data/profiles"
WAY_IN = ";".join(f"layer{n} (framework.py:{n})" for n in range(5))
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
BEFORE = f"""\
main (app/server.py:3);work (app/work.py:10);Image.resize (PIL/Image.py:5) 4000
main (app/server.py:3);work (app/work.py:10);infer (onnx/run.py:7) 5000
main (app/server.py:3);{WAY_IN};encode (json/encoder.py:9) 900
main (app/server.py:3);{WAY_IN};encode (json/encoder.py:9);{HOSTILE} ({HOSTILE}:1) 100"""
AFTER = f"""\
main (app/server.py:3);work (app/work.py:11);shrink (turbo/core.py:5) 400
main (app/server.py:3);work (app/work.py:11);infer (onnx/run.py:7) 8000
main (app/server.py:3);{WAY_IN};encode (json/encoder.py:9) 1440
main (app/server.py:3);{WAY_IN};encode (json/encoder.py:9);{HOSTILE} ({HOSTILE}:1) 160"""
SENTENCE = Sentence(
    "preprocess: 8.00 -> 0.500 ms, in ",
    Link("Image.resize (PIL/Image.py) 8.00 -> 0 ms", "Image.resize", "PIL/Image.py"),
    "; the other way ",
    Link("json 2.00 -> 2.10 ms", "", "json"),
    ".",
)
# The colours of a canvas that are no grey, in which 16 of 255 are allowed between channels.
COLOURED = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const found = new Set();
  for (let at = 0; at < data.length; at += 4) {
    const [r, g, b] = [data[at], data[at + 1], data[at + 2]];
    if (data[at + 3] < 250 || Math.max(r, g, b) - Math.min(r, g, b) <= 16) continue;
    found.add(r > b ? "orange" : "purple");
  }
  return [...found].sort();
}"""


def profile(name: str, text: str, cpu_ms: float | None) -> Profile:
    """With the cost of three blocks that differ by a little."""
    factors = (0.99, 1.0, 1.01) if name == "baseline" else (1.0, 1.01, 0.99)
    blocks = [cpu_ms * factor for factor in factors] if cpu_ms else []
    return Profile(name, parse(text), dict(enumerate(blocks, 1)))


def difference(before: str = BEFORE, after: str = AFTER, ms: float | None = 12.5) -> dict[str, Any]:
    """Of 20 ms a request: the resize goes, a shorter one comes, and nothing else changes."""
    pairs = [(parse(BEFORE), parse(BEFORE))]
    sides = [profile("baseline", before, ms and 20.0), profile("optimized", after, ms)]
    return graph.document(sides, pairs=pairs)


def alone() -> dict[str, Any]:
    return graph.document([profile("baseline", BEFORE, 20.0)])


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with chromium(viewport={"width": 1000, "height": 800}) as context:
        yield context


@pytest.fixture(scope="module")
def tab(browser: BrowserContext) -> tuple[Page, Seen]:
    """One for all: to open another one takes longer than most tests."""
    page, seen = browser.new_page(), Seen()
    seen.watch(page)
    return page, seen


Show = Callable[..., Page]


@pytest.fixture
def show(tab: tuple[Page, Seen], tmp_path: Path) -> Iterator[Show]:
    """Opens a document's page; whatever is looked at, no host is asked and nothing fails."""
    only, seen = tab

    def opened(
        document: dict[str, Any],
        because: tuple[str, ...] = (),
        window: BrowserContext | None = None,
    ) -> Page:
        file = tmp_path / "flame.html"
        file.write_text(standalone.html(document, because))
        page = only
        if window is not None:
            page = window.new_page()
            seen.watch(page)
        page.emulate_media(color_scheme="light", media="screen")
        page.goto(file.as_uri())
        return page

    yield opened
    found = [*seen.hosts, *seen.errors]
    seen.hosts.clear()
    seen.errors.clear()
    assert not found


@contextmanager
def another(browser: BrowserContext, **look: Any) -> Iterator[BrowserContext]:
    """A window of the same browser that is otherwise made."""
    assert browser.browser is not None
    context = browser.browser.new_context(**look)
    yield context
    context.close()


def canvas(page: Page) -> Locator:
    return page.get_by_role("application")


def said(page: Page) -> str:
    """What a screen reader was told last."""
    return page.locator("p.spoken").inner_text()


def press(page: Page, *keys: str) -> str:
    canvas(page).focus()
    for key in keys:
        page.keyboard.press(key)
    return said(page)


def path(page: Page) -> list[str]:
    return page.get_by_role("navigation").locator("li").all_inner_texts()


def at(page: Page, row: int, across: float) -> dict[str, Any]:
    """The middle of a row of the flamegraph, so far across it."""
    box = canvas(page).bounding_box()
    assert box is not None
    return {"x": across * box["width"], "y": 20 * row + 10}


def test_the_file_needs_nothing_else() -> None:
    names = [text.replace(HOSTILE, "a name") for text in (BEFORE, AFTER)]
    html = standalone.html(difference(names[0], names[1]), ["decode: 5 -> 3 ms"])
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert "unsafe" not in html
    assert not re.search(r"(src|href)=(?!\"#)|https?:|@import|url\(", html)
    assert "<li>decode: 5 -&gt; 3 ms</li>" in html


def test_names_of_a_profile_are_text_in_the_file() -> None:
    html = standalone.html(difference())
    assert "<img" not in html
    assert html.count("<script") == html.count("</script>") == 2


def test_the_table_says_what_each_function_costs_and_what_changed() -> None:
    table = functions.texts(difference())
    rows = {row[0]: row[2:] for row in table.rows}
    gone = ("8.00", "0", "▼ −8.00")
    assert rows["Image.resize"] == (*gone, *gone)
    assert rows["infer"] == ("10.0", "10.0", "0", "10.0", "10.0", "0")
    assert rows["work"][2].startswith("▼ −7.50")
    assert rows["shrink"][2] == "▲ +0.500"
    assert list(table.columns)[2:5] == ["baseline", "optimized", "difference"]


def test_a_table_is_cut_and_says_so() -> None:
    table = functions.texts(difference(), most=2)
    assert len(table.rows) == 2
    assert table.caption.endswith("10 more functions are not in this table.")


def test_two_profiles_of_one_name_have_columns_of_their_own() -> None:
    twice = graph.document([profile("x", BEFORE, 20.0), profile("x", AFTER, 12.5)])
    assert list(functions.texts(twice).columns)[2:4] == ["x (A)", "x (B)"]


def test_a_profile_may_be_called_as_another_column_is() -> None:
    sides = [profile("file", BEFORE, 20.0), profile("difference", AFTER, 12.5)]
    columns = functions.texts(graph.document(sides)).columns
    assert list(columns)[:4] == ["function", "file", "file (A)", "difference (B)"]


def test_a_table_of_numbers_can_be_sorted() -> None:
    columns = functions.numbers(difference()).columns
    rows = dict(zip(columns["function"], zip(*columns.values(), strict=True), strict=True))
    assert rows["Image.resize"][2:6] == (8.0, 0.0, -8.0, "▼ less")
    assert rows["infer"][2:6] == (10.0, 10.0, 0.0, "")
    assert list(columns)[6:] == [f"itself: {name}" for name in list(columns)[2:6]]
    columns = functions.numbers(alone()).columns
    assert list(columns)[2:4] == ["baseline", "share"]
    assert columns["share"][columns["function"].index("infer")] == 0.5


def test_where_costs_are_not_known_shares_are_shown(show: Show) -> None:
    document = difference(ms=None)
    assert standalone.totals(document) == [
        ("baseline", "10,000 samples"),
        ("optimized", "10,000 samples"),
    ]
    told = press(show(document), "ArrowDown")
    assert told.startswith("main (app/server.py): 100% to 100% of the samples")


def test_everybody_can_read_the_page(show: Show) -> None:
    found: dict[str, str] = {}
    # Shares have a doubt, and no other part than costs have.
    for name, document in (("share", difference(ms=None)), ("one", alone())):
        page = show(document, (SENTENCE,))
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.wait_for_selector(f".flame[data-theme={theme}]")
            # Another theme changes colours alone.
            rules = () if theme == "light" else COLOUR_RULES
            seen = violations(page, *rules)
            found |= {f"{name} {theme}: {rule}": where for rule, where in seen.items()}
    assert not found


def test_only_what_changed_beyond_the_noise_is_coloured(show: Show) -> None:
    assert canvas(show(difference())).evaluate(COLOURED) == ["orange", "purple"]
    same = show(difference(BEFORE, BEFORE.replace("4000", "4060"), 20.01))
    assert canvas(same).evaluate(COLOURED) == []


def test_real_copies_have_no_colour_and_real_variants_have(show: Show) -> None:
    record = load(PROFILES)
    pairs = profiles.aa_pairs(record)
    again = [profiles.from_file(PROFILES / f"again/{name}.txt") for name in ("one", "two")]
    for copies in (again, again[::-1]):
        assert canvas(show(graph.document(copies, pairs=pairs))).evaluate(COLOURED) == []
    assert (
        canvas(show(graph.of_record(record, "c0008", "baseline.aa", "baseline"))).evaluate(COLOURED)
        == []
    )
    real = show(graph.of_record(record, "c0008", "optimized", "baseline"))
    assert canvas(real).evaluate(COLOURED) == ["orange", "purple"]


def test_what_is_rare_is_not_said_to_be_new(show: Show) -> None:
    once = f"main (app/server.py:3);{WAY_IN};log (logging.py:9) 9"
    page = show(difference(BEFORE, f"{BEFORE}\n{once}", 20.0))
    page.get_by_role("searchbox").fill("^log ")
    page.keyboard.press("Enter")
    assert said(page).startswith("log (logging.py), seen in optimized only: 0 to 0.0180")
    assert "· seen in optimized only" in page.locator(".card").inner_text()


def test_numbers_are_written_as_everywhere(browser: BrowserContext) -> None:
    values = [0.0, 1e-9, 0.0123, 0.0995, 0.09949, 0.125, 0.375, 1.005, 1.115, 2.125, 2.675, 9.995]
    values += [12.25, 12.35, 99.95, 100.5, 101.5, 999.5, 1234.5, 1235, 1245, 123456.0, 7e8]
    values += [10.0**power for power in range(-6, 7)]
    values += [n / 800 for n in range(2000)]
    script = (standalone.FOLDER / "frames.js").read_text()
    page = browser.new_page()
    written = page.evaluate(
        f"values => {{ {script}\n return values.map((each) => [number(each), percent(each)]) }}",
        values,
    )
    page.close()
    assert written == [[number(value), percent(value)] for value in values]


def test_the_keyboard_goes_from_frame_to_frame(show: Show) -> None:
    page = show(difference())
    assert press(page, "ArrowDown").startswith("main (app/server.py): 20.0 to 12.5 CPU ms")
    assert press(page, "ArrowDown").startswith("work (app/work.py): 18.0 to 10.5 CPU ms")
    assert "larger than the noise" in said(page)
    assert press(page, "ArrowDown").startswith("infer (onnx/run.py): 10.0 to 10.0")
    assert "No difference beyond the noise" in said(page)
    left = "Image.resize (PIL/Image.py), gone: 8.00 to 0"
    assert press(page, "ArrowLeft").startswith(left)
    assert press(page, "ArrowUp", "ArrowLeft").startswith("layer0 (framework.py): 2.00 to 2.00")
    assert "one of 5 folded frames" in said(page)


def test_enter_focuses_and_escape_shows_all(show: Show) -> None:
    page = show(difference())
    press(page, "ArrowDown", "ArrowDown", "Enter")
    assert path(page) == ["all", "main", "work"]
    assert press(page, "ArrowUp").startswith("work"), "it is the first row now"
    press(page, "Backspace")
    assert path(page) == ["all", "main"]
    press(page, "Escape")
    assert path(page) == ["all"]


def test_a_long_chain_is_one_frame_until_it_is_opened(show: Show) -> None:
    page = show(difference())
    height = canvas(page).evaluate("canvas => canvas.clientHeight")
    press(page, "ArrowDown", "ArrowDown", "ArrowLeft", "Enter")
    assert "folded" not in said(page)
    assert canvas(page).evaluate("canvas => canvas.clientHeight") == height + 4 * 20
    page.get_by_role("button", name="Reset").click()
    assert canvas(page).evaluate("canvas => canvas.clientHeight") == height
    page.get_by_label("Fold long chains").uncheck()
    assert canvas(page).evaluate("canvas => canvas.clientHeight") == height + 4 * 20


def test_a_search_counts_what_it_finds_and_goes_there(show: Show) -> None:
    page = show(difference())
    page.keyboard.press("/")
    page.keyboard.type("resize|SHRINK")
    count = page.get_by_role("status").first
    assert count.inner_text() == "2 frames, 8.00 → 0.500 CPU ms a request (40% → 4.0%)"
    page.keyboard.press("Enter")
    assert said(page).startswith("Image.resize")
    page.keyboard.press("Enter")
    assert said(page).startswith("shrink (turbo/core.py), new: 0 to 0.500")
    page.keyboard.press("Shift+Enter")
    assert said(page).startswith("Image.resize")
    # The whole is called so by us.
    page.get_by_role("searchbox").fill("^all$")
    assert count.inner_text() == "nothing found"
    # One match inside another is not counted again.
    page.get_by_role("searchbox").fill("main|app/work")
    assert "2 frames, 20.0 → 12.5" in count.inner_text()
    page.get_by_role("searchbox").fill("layer3")
    page.keyboard.press("Enter")
    assert said(page).startswith("layer3 (framework.py): 2.00 to 2.00 CPU ms a request, calls 1")


def test_a_half_typed_pattern_is_said_to_be_none(show: Show) -> None:
    page = show(difference())
    page.get_by_role("searchbox").fill("(")
    assert page.get_by_text("not a regular expression (yet)").count()
    assert page.get_by_role("searchbox").get_attribute("aria-invalid") == "true"
    page.keyboard.press("Escape")
    assert page.get_by_role("searchbox").input_value() == ""


def test_a_click_focuses_and_the_pointer_reads(show: Show) -> None:
    page = show(difference())
    # By the larger: main is 20.5 wide, of which layer0 has 2, then come resize 8 and infer 10.
    canvas(page).hover(position=at(page, 3, 6 / 20.5))  # type: ignore[arg-type]
    tip = page.locator(".tip")
    assert tip.inner_text().startswith("Image.resize PIL/Image.py · gone")
    assert "−8.00" in tip.inner_text()
    shade = page.locator(".shade").bounding_box()
    area = canvas(page).bounding_box()
    assert shade
    assert area
    assert (shade["y"], shade["height"]) == (area["y"] + 60, 19)
    canvas(page).click(position=at(page, 3, 16 / 20.5))  # type: ignore[arg-type]
    assert path(page) == ["all", "main", "work", "infer"]
    page.mouse.move(0, 0)
    assert not tip.is_visible()
    page.get_by_role("button", name="main").first.click()
    assert path(page) == ["all", "main"]


def test_the_width_is_that_of_a_side(show: Show) -> None:
    page = show(difference())
    page.get_by_label("optimized", exact=True).check(force=True)
    assert press(page, "ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft").startswith("encode")
    page.get_by_label("baseline", exact=True).check(force=True)
    assert press(page, "Escape", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight").startswith(
        "infer"
    )
    page.get_by_role("button", name="Reset").click()
    assert page.get_by_label("the larger").is_checked()
    assert press(page, "ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft").startswith("Image")


def test_a_function_of_the_table_leads_to_its_frame(show: Show) -> None:
    page = show(difference())
    page.get_by_role("button", name="Image.resize").click()
    assert page.get_by_role("searchbox").input_value() == r"^Image\.resize \(PIL/Image\.py\)$"
    assert said(page).startswith("Image.resize")


def test_a_place_of_a_sentence_leads_to_its_frame(show: Show) -> None:
    page = show(difference(), (SENTENCE, f"{HOSTILE}."))
    why = page.get_by_role("region", name="Why")
    assert why.get_by_role("listitem").all_inner_texts() == [SENTENCE, f"{HOSTILE}."]
    why.get_by_role("link", name="Image.resize").click()
    assert said(page).startswith("Image.resize (PIL/Image.py), gone: ")
    why.get_by_role("link", name="json").click()
    assert said(page).startswith("encode (json/encoder.py): ")
    assert page.get_by_role("status").first.inner_text().startswith("1 frame, 2.00 ")
    assert not page.locator("img").count()


def test_a_function_without_a_frame_says_why(show: Show) -> None:
    # Called from so many places that no single one is drawn.
    many = [f"main (m.py:1);f{n} (m.py:1);malloc (c.c:1) 3" for n in range(99)]
    text = "\n".join(["main (m.py:1);work (m.py:1) 9700", *many])
    page = show(graph.document([profile("x", text, 10.0)]))
    page.get_by_role("button", name="malloc").click()
    assert page.get_by_role("status").first.inner_text() == "only in frames too rare to be drawn"


def test_a_package_is_named_and_found_as_sentences_name_it(browser: BrowserContext) -> None:
    frames = [
        ("encode", "json/encoder.py", Frame("", "json")),
        ("run", "threading.py", causes.PYTHON),
        ("load", "<frozen importlib._bootstrap>", causes.PYTHON),
        ("memcpy", "libc.so.6", Frame("", "libc.so.6")),
        ("take_gil", "", Frame("take_gil", "")),
    ]
    script = (standalone.FOLDER / "frames.js").read_text()
    page = browser.new_page()
    found = page.evaluate(
        f"""frames => {{ {script}
          return frames.map(([name, file, pattern]) => [
            packageOf({{ name, file }}), new RegExp(pattern, "i").test(textOf({{ name, file }})),
          ]) }}""",
        [[name, file, standalone.pattern(*place)] for name, file, place in frames],
    )
    page.close()
    assert [package for package, _ in found] == [place.file or place.name for *_, place in frames]
    # Python's own are together in a sentence, which is no link then.
    assert [of_it for _, of_it in found] == [place != causes.PYTHON for *_, place in frames]


def test_a_theme_is_followed_while_the_page_is_open(show: Show) -> None:
    page = show(difference())
    page.emulate_media(color_scheme="light")
    page.wait_for_selector(".flame[data-theme=light]")
    corner = "c => [...c.getContext('2d').getImageData(c.width - 9, 9, 1, 1).data]"
    before = canvas(page).evaluate(corner)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(".flame[data-theme=dark]")
    assert canvas(page).evaluate(corner) != before
    page.emulate_media(color_scheme="dark", media="print")
    page.wait_for_selector(".flame[data-theme=light]")


def test_one_profile_is_coloured_by_package(show: Show) -> None:
    page = show(alone())
    assert canvas(page).evaluate(COLOURED) == ["orange", "purple"]
    legend = page.get_by_role("list", name="Colours").inner_text()
    assert legend.split("\n")[:3] == ["onnx 50%", "PIL 40%", "json 9.0%"]
    assert not page.get_by_label("optimized").count()
    assert press(page, "ArrowDown") == "main (app/server.py): 20.0 CPU ms a request, calls 2."


def test_hostile_names_are_text_wherever_they_are_shown(show: Show) -> None:
    page = show(difference())
    page.get_by_role("searchbox").fill("onerror")
    page.keyboard.press("Enter")
    assert said(page).startswith(HOSTILE)
    page.get_by_role("button", name="onerror").first.click()
    assert not page.locator("img").count()


def test_a_tap_reads_and_a_second_one_focuses(show: Show, browser: BrowserContext) -> None:
    look: Any = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
    with another(browser, **look) as context:
        page = show(difference(), window=context)
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        middle: Any = {"x": 200, "y": 2 * 30 + 15}
        canvas(page).tap(position=middle)
        assert said(page).startswith("work")
        assert path(page) == ["all"]
        canvas(page).tap(position=middle)
        assert path(page) == ["all", "main", "work"]


def test_without_scripts_the_table_says_it(show: Show, browser: BrowserContext) -> None:
    with another(browser, java_script_enabled=False) as context:
        page = show(difference(), window=context)
        assert "The table below" in page.locator("noscript").inner_text()
        assert page.get_by_role("row").filter(has_text="Image.resize").count()


def test_another_script_in_the_page_is_not_run(browser: BrowserContext, tmp_path: Path) -> None:
    file = tmp_path / "flame.html"
    html = standalone.html(difference())
    file.write_text(html.replace("</main>", "<script>document.title = 'taken'</script></main>"))
    page = browser.new_page()
    page.goto(file.as_uri())
    assert "taken" not in page.title()
    page.close()


def test_stacks_as_deep_as_they_come_are_shown(show: Show, browser: BrowserContext) -> None:
    deep = ";".join(f"f{n} (deep.py:{n})" for n in range(300))
    spread = "\n".join(f"{deep};leaf{n} (leaf.py:1) 100" for n in range(3))
    document = graph.document([profile("deep", spread, 10.0)])
    look: Any = {"viewport": {"width": 1000, "height": 500}, "device_scale_factor": 3}
    with another(browser, **look) as context:
        page = show(document, window=context)
        assert press(page, "ArrowDown").startswith("f0 (deep.py): 10.0 CPU ms")
        page.get_by_label("Fold long chains").uncheck()
        assert canvas(page).evaluate("canvas => canvas.clientHeight") == 301 * 20
        # A browser draws nothing on a canvas that is too large for it.
        assert canvas(page).evaluate("canvas => canvas.width * canvas.height") < 16.7e6
        last = "c => [...c.getContext('2d').getImageData(9, c.height - 9, 1, 1).data]"
        assert canvas(page).evaluate(last)[3] == 255
