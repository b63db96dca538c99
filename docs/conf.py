"""The documentation site: `make docs` builds it into build/site, and every warning is an error."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "backfire"
author = "The backfire authors"
copyright = author
version = release = version_of("backfire")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_*"]

# A link, a reference or a heading that does not exist is a warning, and `make docs` turns warnings into errors.
nitpicky = True
suppress_warnings = ["myst.xref_ambiguous"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 4
myst_links_external_new_tab = True

html_theme = "furo"
html_title = f"backfire {release}"
html_copy_source = False
html_show_sphinx = False
