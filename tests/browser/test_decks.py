"""The slides of the lessons in the browser: everything fits on its slide."""

import lab_page
from lib.tools import slides

import nbformat
import pytest

# Shows every slide with all its steps and tells of those with something beyond the border.
LOOK = """<script>
addEventListener("load", async () => {
  while (!document.body.dataset.fitted) await new Promise(done => setTimeout(done, 50));
  const over = [];
  for (const slide of deck.getSlides()) {
    const {h, v} = deck.getIndices(slide);
    deck.slide(h, v, 99);
    const room = slide.getBoundingClientRect();
    for (const part of slide.querySelectorAll("*")) {
      const {right, bottom} = part.getBoundingClientRect();
      if (right > room.right + 6 || bottom > room.bottom + 6) over.push(`${h}.${v} ${part.tagName}`)
    }
  }
  document.body.dataset.over = over.join() || "nothing";
});
</script></body>"""


@pytest.mark.parametrize("lesson", lab_page.LESSONS)
def test_everything_fits_on_its_slide(browser, tmp_path, lesson):
    notebook = nbformat.read(slides.LESSONS / lesson, as_version=4)
    deck = slides.slide_page(notebook, slides.LESSONS).replace("</body>", LOOK)
    page = tmp_path / "deck.html"
    page.write_text(deck, encoding="utf-8")
    browser.goto(page.as_uri())
    body = browser.locator("body[data-over]")
    assert body.get_attribute("data-over", timeout=120_000) == "nothing"
