"""The configuration of Sphinx, which `python -m lib.tools.site` starts."""

project = "From softmax to ArcFace"
author = "The From softmax to ArcFace authors"
html_title = project
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "lib.tools.site.extension",
]

# Nothing is executed: the notebooks are stored with their results.
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
# what a live figure says of itself in a notebook; its picture is beside it
suppress_warnings = ["mystnb.unknown_mime_type"]

myst_enable_extensions = ["dollarmath", "attrs_block"]
myst_heading_anchors = 4
myst_heading_slug_func = "lib.tools.site.staging.anchor"
myst_url_schemes = ("http", "https", "mailto")
html_math_renderer = "mathml"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_typehints = "none"
napoleon_use_ivar = True
add_module_names = False
highlight_language = "text"  # where nothing else is said: formulas, what was printed
default_role = "py:obj"
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}
html_static_path = ["static", "../pages/look.css"]
html_css_files = ["look.css", "site.css"]
html_js_files = [("site.js", {"defer": "defer"}), ("figures.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = html_domain_indices = False
html_permalinks_icon = "#"

# what linkcheck, once a week, cannot know
linkcheck_anchors = False
