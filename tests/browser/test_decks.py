"""The slides of the lessons in the browser: everything fits on its slide."""

import lab_page
from lib.tools import slides

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

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


def over(browser, tmp_path, notebook):
    """What is beyond the border of its slide."""
    deck = slides.slide_page(notebook, slides.LESSONS).replace("</body>", LOOK)
    page = tmp_path / "deck.html"
    page.write_text(deck, encoding="utf-8")
    browser.goto(page.as_uri())
    body = browser.locator("body[data-over]")
    return body.get_attribute("data-over", timeout=120_000)


@pytest.mark.parametrize("lesson", lab_page.LESSONS)
def test_everything_fits_on_its_slide(browser, tmp_path, lesson):
    notebook = nbformat.read(slides.LESSONS / lesson, as_version=4)
    assert over(browser, tmp_path, notebook) == "nothing"


def test_a_long_line_of_code_goes_on_below(browser, tmp_path):
    """Smaller letters serve up to about 140 of them; a notebook of one's own may have more."""
    cells = [new_markdown_cell("# A title"), new_code_cell(f'text = "{"many words " * 40}"')]
    assert over(browser, tmp_path, new_notebook(cells=cells)) == "nothing"
