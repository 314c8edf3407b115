"""The playground as a visitor meets it: Voilà serves it, a real Chromium shows it, SqueezeNet dreams small pictures.

`make browser` installs what this needs; where it is missing, the tests are skipped.
"""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from helpers import skip_or_fail
from PIL import Image

import deepdream as dd
from deepdream import Recipe
from deepdream.data import clouds
from deepdream.playground.uploads import Limits, built_in

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
# The size of a dream that, with 50 iterations, lasts much longer than all that is done and looked at during it.
LONG = 960
# Counts the different pictures that are shown in the place of the dream, and keeps the states that are over: a dream
# of one small step is soon done, and a test that only looks now and then does not see it run.
COUNT = """
window.seen = new Set();
new MutationObserver(async () => {
  const bytes = await (await fetch(document.querySelector('img.after').src)).arrayBuffer();
  window.seen.add([...new Uint8Array(await crypto.subtle.digest('SHA-1', bytes))].join());
}).observe(document.querySelector('img.after'), { attributeFilter: ['src'] });
window.states = [];
new MutationObserver((changes) => window.states.push(...changes.map((change) => change.oldValue)))
  .observe(document.querySelector('main'), { attributeFilter: ['data-state'], attributeOldValue: true });
"""


def _missing():
    if CHROMIUM is None:
        return "there is no chromium on this machine (make browser installs it)"
    try:
        import playwright  # noqa: F401
        import voila  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed (make browser installs it)"
    return None


@pytest.fixture(scope="module")
def server(tmp_path_factory, squeezenet_file):
    """The address of a playground of its own, and its cache folder."""
    if reason := _missing():
        skip_or_fail(reason)
    from wire import serve  # needs what `_missing` looks for

    with serve(tmp_path_factory.mktemp("playground") / "cache") as running:
        yield running.address, running.cache


@pytest.fixture(scope="module")
def browser(server, tmp_path_factory):
    """A Chromium with a fresh profile that reaches nothing but the playground."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            viewport={"width": 1100, "height": 900},
            accept_downloads=True,
        )
        context.set_default_timeout(60_000)
        outside = []
        context.route(
            lambda url: not url.startswith((server[0], "blob:", "data:")),
            lambda route: (outside.append(route.request.url), route.abort()),
        )
        yield context
        context.close()
        assert outside == []  # the page takes nothing from elsewhere


@pytest.fixture(scope="module")
def page(browser, server):
    """A page of the playground that several tests use, one after the other."""
    return _open(browser, server[0])


@pytest.fixture
def photo(tmp_path):
    """The path of a picture of the visitor's."""
    path = tmp_path / "holiday.png"
    dd.write_image(path, clouds.clouds(160, 240, seed=3))
    return path


# What a dream shows when the picture before it and five of its own were seen; then it is stopped, before it can end.
SEE_AND_STOP = """() => {
  if (window.seen.size < 6) return null;
  const find = selector => [...document.querySelectorAll(selector)];
  const during = {
    status: find(".status")[0].textContent,
    curves: find(".curve polyline").map(curve => curve.getAttribute("points")),
    progress: find("[role=progressbar]")[0].getAttribute("aria-valuenow"),
  };
  find("button").find(button => button.textContent === "Stop" && !button.hidden).click();
  return during;
}"""


def _open(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("main[data-state=ready] img.after[src]")
    page.evaluate(COUNT)
    page.get_by_label("Network").select_option("squeezenet_v1.1")
    _set(page, max_size=160, octave_n=3, iter_n=4)
    return page


def _set(page, **numbers):
    for name, value in numbers.items():
        page.locator(f"#deepdream-{name}").fill(str(value))


def _settings(page):
    """Everything that is set on the page."""
    return page.evaluate("""() => ({
        network: document.querySelector('select').value,
        layer: document.querySelector('.ladder :checked').value,
        seed: document.querySelector('[aria-label=Seed]').value,
        numbers: [...document.querySelectorAll('.number output')].map((o) => o.textContent) })""")


def _state(page, state, timeout=60_000):
    page.wait_for_selector(f"main[data-state={state}]", timeout=timeout)


@contextlib.contextmanager
def _starts(page):
    """What is done in here starts a dream, however soon that is over."""
    before = page.evaluate("window.states.length")
    yield
    page.wait_for_function(
        "before => window.states.slice(before).includes('running')"
        " || document.querySelector('main').dataset.state === 'running'",
        arg=before,
    )


def _dream(page, button="Dream"):
    with _starts(page):
        page.get_by_role("button", name=button, exact=True).click()


def _dreaming(page):
    """Wait until pictures come."""
    frames = int(page.locator("main").get_attribute("data-frames"))
    page.wait_for_function(f"document.querySelector('main').dataset.frames > {frames}", timeout=60_000)


def _upload(page, path, which="picture"):
    page.locator(f"input[type=file][data-for={which}]").set_input_files(path)


def _download(page, path):
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(path)
    return download.value.suggested_filename


def _refused(page, says):
    page.wait_for_function(f"document.querySelector('.notice').textContent.includes({says!r})")
    page.evaluate("document.querySelector('.notice').textContent = ''")


def test_a_visit(page, photo, tmp_path, squeezenet):
    """Upload, dream, stop, dream again, download, and find the settings in the picture."""
    dd.write_image(photo, clouds.clouds(320, 480, seed=3))  # so large that its dream takes some seconds
    _upload(page, photo)
    page.wait_for_function("document.querySelector('.caption').textContent.includes('holiday.png · 480×320')")
    page.get_by_role("radio", name="eyes in everything").check()
    page.get_by_label("Seed").fill("2015")
    page.get_by_label("Seed").press("Tab")
    page.evaluate("window.seen.clear()")
    _set(page, iter_n=50, max_size=480)
    _dream(page)
    during = page.wait_for_function(SEE_AND_STOP, timeout=60_000).json_value()
    assert during["status"].startswith("Octave ")
    assert len(during["curves"]) == 3 and len(during["curves"][0].split()) > 3
    assert during["progress"] != "0"

    _state(page, "dreamt", 10_000)
    assert page.locator(".status").text_content().startswith("Stopped: 480×320, seed 2015")
    assert _download(page, tmp_path / "stopped.png") == "holiday-dream.png"
    recipe = Recipe.from_image(tmp_path / "stopped.png")
    assert (recipe.kind, recipe.input) == ("stopped dream", "holiday.png")
    assert (recipe.end, recipe.iter_n) == ("fire6/concat", 50)

    _set(page, iter_n=4, max_size=160)
    _dream(page, "Dream again")
    _state(page, "dreamt")
    assert page.locator(".status").text_content().startswith("Done: 160×107, seed 2015")
    assert _download(page, tmp_path / "done.png") == "holiday-dream-2.png"
    recipe = Recipe.from_image(tmp_path / "done.png")
    made = recipe.render(dd.read_image(tmp_path / "stopped.png"), net=squeezenet)
    with Image.open(tmp_path / "done.png") as picture:
        np.testing.assert_array_equal(np.rint(made.clip(0, 255)), np.asarray(picture))

    settings = _settings(page)
    assert settings == {
        "network": "squeezenet_v1.1",
        "layer": "fire6/concat",
        "seed": "2015",
        "numbers": ["160 px", "3", "4", "100 %", "1.5", "1.4", "32"],
    }
    page.get_by_role("radio", name="dots of colour", exact=True).check()
    page.get_by_role("button", name="new").click()
    page.get_by_text("More settings").click()
    _set(page, max_size=320, octave_n=1, strength=0.5, jitter=3)
    assert _settings(page)["layer"] == "fire2/concat"
    _upload(page, tmp_path / "done.png")
    _refused(page, "This picture was dreamt from holiday-dream.png; its settings are restored.")
    assert _settings(page) == settings


def test_before_and_after(page):
    """The slider shows the picture before from the left; it also obeys the keyboard."""
    _set(page, iter_n=1)
    _dream(page)
    _state(page, "dreamt")
    slider = page.get_by_role("slider", name="Compare")
    box = page.locator(".frame").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert 45 < float(slider.input_value()) < 55
    cut = page.evaluate("getComputedStyle(document.querySelector('img.before')).clipPath")
    before = float(slider.input_value())
    slider.press("ArrowRight")
    assert float(slider.input_value()) > before
    assert page.evaluate("getComputedStyle(document.querySelector('img.before')).clipPath") != cut
    sources = page.evaluate("['before', 'after'].map((c) => document.querySelector(`img.${c}`).src)")
    assert all(source.startswith("blob:") for source in sources) and sources[0] != sources[1]


def test_refused_uploads(page, tmp_path):
    """A hundred megapixels, a text by the name of a picture, too many bytes; the page goes on."""
    Image.new("1", (10_000, 10_000)).save(tmp_path / "wall.png")
    _upload(page, tmp_path / "wall.png")
    _refused(page, f"wall.png has 10000×10000 pixels, 100 megapixels; the limit here is {Limits().megapixels}, so")
    (tmp_path / "letter.png").write_text("Dear network,\n" * 100)
    _upload(page, tmp_path / "letter.png")
    _refused(page, "letter.png is not a picture that can be read")
    (tmp_path / "long.png").write_bytes(bytes(Limits().megabytes * 1_000_000 + 1))
    _upload(page, tmp_path / "long.png")
    _refused(page, "long.png has 32.0 MB; a file may have up to 32 MB here")
    page.get_by_role("button", name="cat", exact=True).click()
    page.wait_for_function("document.querySelector('.caption').textContent.startsWith('cat')")


def test_names_and_recipes_are_text(page, tmp_path):
    """What a file is called, and what its recipe says, is shown and never run."""
    attack = "<img src=x onerror=window.attacked=1><script>window.attacked=1</script>"
    page.evaluate("window.attacked = 0")
    recipe = Recipe(input=attack, model=attack, guide=attack, kind="dream", end=attack, seed=1)
    dd.write_image(tmp_path / "a.png", clouds.clouds(40, 60, seed=3), recipe)
    name = "<img src=x onerror=window.attacked=1>.png"
    page.locator("input[type=file][data-for=picture]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": (tmp_path / "a.png").read_bytes()}
    )
    page.wait_for_function("document.querySelector('.caption').textContent.includes('60×40')")
    assert "onerror" in page.locator(".caption").text_content()
    assert "onerror" in page.locator(".notice").text_content()
    page.wait_for_timeout(300)
    assert page.evaluate("[window.attacked, document.querySelectorAll('main [onerror], main script').length]") == [0, 0]
    page.evaluate("document.querySelector('.notice').textContent = ''")
    page.get_by_role("button", name="cat", exact=True).click()
    page.wait_for_function("document.querySelector('.caption').textContent.startsWith('cat')")


def test_a_link_from_another_site_asks_for_a_click(browser, server):
    """A page of another site can lead here, but starts nothing."""
    page = browser.new_page()
    other_site = f"<a href={server[0]}>Look at this</a>"
    page.route("http://other.example/", lambda route: route.fulfill(body=other_site, content_type="text/html"))
    page.goto("http://other.example/")
    page.get_by_role("link", name="Look at this").click()
    page.get_by_role("link", name="Open the playground").click()
    page.wait_for_selector("main[data-state=ready] img.after[src]")
    page.close()


def test_a_guide(page, photo, tmp_path):
    _upload(page, photo, "guide")
    page.wait_for_selector(".guide img")
    assert page.locator(".guide img").get_attribute("alt") == "The guide: holiday.png"
    _set(page, iter_n=2)
    _dream(page)
    _state(page, "dreamt")
    _download(page, tmp_path / "guided.png")
    recipe = Recipe.from_image(tmp_path / "guided.png")
    assert (recipe.objective, recipe.guide, recipe.input) == ({"objective": "guided"}, "holiday.png", "cat")
    page.get_by_role("button", name="Remove the guide").click()


def test_a_brush_says_where_to_dream(page, photo, tmp_path, run):
    """What is painted is dreamt, the rest stays bit for bit; with the saved mask the dream is made again."""
    _upload(page, photo)
    page.wait_for_function("document.querySelector('.caption').textContent.includes('holiday.png · 240×160')")
    _set(page, iter_n=3, max_size=320)
    page.get_by_role("button", name="Paint where to dream").click()
    page.get_by_label("Size of the brush").fill("20")
    box = page.locator("canvas.mask").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    page.mouse.up()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the mask").click()
    download.value.save_as(tmp_path / "painted-mask.png")
    _dream(page)
    _state(page, "dreamt")
    _download(page, tmp_path / "masked.png")
    photo_pixels, made = dd.read_image(photo), dd.read_image(tmp_path / "masked.png")
    changed = np.abs(made - photo_pixels).max(axis=2) > 0
    assert not changed[:, 80:].any() and changed[40:120, 36:60].mean() > 0.8 and not changed[:4, :].any()
    assert Recipe.from_image(tmp_path / "masked.png").mask == "painted-mask.png"
    code, _, err = run("replay", tmp_path / "masked.png", "--input", photo, "-o", tmp_path / "again.png")
    assert code == 0 and "every pixel is the same as in" in err, err

    page.get_by_role("button", name="Paint where to dream").click()
    page.get_by_role("button", name="Erase").click()
    page.get_by_role("button", name="Clear").click()
    Image.fromarray(np.uint8(255 * np.eye(2, 3))).resize((240, 160), 0).save(tmp_path / "mask.png")
    page.get_by_label("Choose a mask from this device").set_input_files(tmp_path / "mask.png")
    page.wait_for_selector("main.masked")
    _dream(page)
    _state(page, "dreamt")
    _download(page, tmp_path / "masked.png")
    changed = np.abs(dd.read_image(tmp_path / "masked.png") - photo_pixels).max(axis=2) > 0
    assert changed[10:70, 10:70].mean() > 0.8 and not changed[:70, 180:].any()
    page.get_by_role("button", name="cat", exact=True).click()
    page.wait_for_function("document.querySelector('.caption').textContent.startsWith('cat')")
    assert page.locator("main.masked").count() == 0


def test_every_layer_on_the_visitor_s_picture(page, photo):
    thumbs = "[...document.querySelectorAll('.ladder img')].map((image) => image.src)"
    _upload(page, photo)
    page.wait_for_function("document.querySelector('.caption').textContent.includes('holiday.png')")
    before = page.evaluate(thumbs)
    with _starts(page):
        page.get_by_role("button", name="Try every layer").click()
    page.wait_for_function("document.querySelector('.status').textContent.includes('layers tried on this picture')")
    after = page.evaluate(thumbs)
    assert len(after) == len(before) == 10
    assert all(address.startswith("blob:") for address in after) and len(set(after)) == 10
    assert page.get_by_role("button", name="Dream", exact=True).is_visible()
    page.get_by_role("button", name="cat", exact=True).click()
    page.wait_for_function("document.querySelector('.caption').textContent.startsWith('cat')")
    assert page.evaluate(thumbs) == before


def test_a_worker_killed_in_mid_dream(page, server):
    """The page says so, keeps what was dreamt, and dreams again."""
    _set(page, iter_n=50, max_size=LONG)
    _dream(page)
    _dreaming(page)
    for pid in _workers(server[1]):
        os.kill(pid, signal.SIGKILL)
    _state(page, "dreamt", 10_000)
    _refused(page, "The worker was killed (SIGKILL), probably out of memory")
    assert page.locator(".status").text_content().endswith("The dream so far is kept.")
    _set(page, iter_n=2, max_size=160)
    _dream(page)
    _state(page, "dreamt")
    assert page.locator(".status").text_content().startswith("Done")


def test_two_tabs(page, browser, server):
    """The second waits its turn, says so, and answers meanwhile; it dreams when the first one is closed."""
    first = _open(browser, server[0])
    _set(first, iter_n=50, max_size=LONG)
    _dream(first)
    _dreaming(first)
    frames = page.locator("main").get_attribute("data-frames")
    _dream(page)
    page.wait_for_function("document.querySelector('.status').textContent === 'One dream is ahead of yours.'")
    for each in (first, page):
        each.get_by_role("button", name="coffee", exact=True).first.click()
        each.wait_for_selector("[data-name=coffee][aria-pressed=true]", timeout=5_000)
    assert first.locator("main").get_attribute("data-state") == "running"
    assert page.locator("main").get_attribute("data-frames") == frames
    first.close()
    _state(page, "dreamt")
    assert page.locator(".status").text_content().startswith("Done")
    assert page.locator("main").get_attribute("data-frames") != frames


@pytest.mark.parametrize("width", [1100, 390, 320])
def test_layout(page, width):
    """Nothing runs over the page's width; pictures and controls have names; both colour schemes are legible."""
    page.set_viewport_size({"width": width, "height": 844})
    page.wait_for_function(f"Math.abs(document.querySelector('#rendered_cells').clientWidth - {width}) < 20")
    assert (
        page.evaluate("""() => [...document.querySelectorAll('main, main *')].filter((e) => {
        const box = e.getBoundingClientRect();
        return box.width && (box.left < -1 || box.right > innerWidth + 1) && !e.closest('.scale');
    }).map((e) => e.outerHTML.slice(0, 80))""")
        == []
    )
    assert page.evaluate("[...document.querySelectorAll('main img')].every((i) => i.hasAttribute('alt'))")
    nameless = page.evaluate("""() => [...document.querySelectorAll('main :is(input, select, button)')].filter((e) =>
        !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim()
          || document.querySelector(`label[for="${e.id}"]`))).map((e) => e.outerHTML)""")
    assert nameless == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        ink, paper = page.evaluate("""() => { const style = getComputedStyle(document.querySelector('main'));
            return [style.color, style.backgroundColor]
              .map((c) => c.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)); }""")
        assert abs(ink - paper) > 500
        assert (ink > paper) == (scheme == "dark")


def test_keyboard(page):
    """Everything can be reached with Tab; Enter dreams, and the arrows climb the ladder."""
    page.set_viewport_size({"width": 1100, "height": 900})
    page.get_by_role("button", name=built_in()[-1], exact=True).focus()
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.type + ' ' + (document.activeElement.id || "
                "document.activeElement.ariaLabel || document.activeElement.value)"
            )
        )
    assert {"select-one Network", "range deepdream-max_size", "range deepdream-iter_n", "text Seed"} <= {*reached}
    checked = page.locator(".ladder :checked")
    checked.focus()
    before = checked.input_value()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".ladder :checked").input_value() != before
    _set(page, iter_n=1, max_size=160)
    page.get_by_role("button", name="Dream", exact=True).focus()
    with _starts(page):
        page.keyboard.press("Enter")
    _state(page, "dreamt")


def _workers(cache):
    """The processes that dream for the playground with this cache folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"deepdream.playground.worker" in (folder / "cmdline").read_bytes()
                and str(cache).encode() in (folder / "environ").read_bytes()
            ):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
    assert found
    return found
