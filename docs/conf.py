"""Sphinx's settings. `make docs` copies this folder, adds the reference, and builds the copy."""

project = "Skymill"
html_title = "Skymill"
root_doc = "index"
extensions = ["myst_parser"]
exclude_patterns: list[str] = []

# Links as GitHub has them, to headings as well; `make docs` fails on one that leads nowhere.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "fieldlist"]
highlight_language = "text"

html_theme = "furo"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
