"""The documentation site: `make docs` builds it into build/site, and every warning is an error."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "backfire"
author = copyright = "The backfire authors"
version = release = version_of("backfire")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "python_reference"]
source_suffix = {".md": "markdown"}
root_doc = "index"

# What a page refers to has to be there. Types of other packages are named without a link: the site is built without network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!backfire\.).*")]
# Two classes of one name, in two packages, are no defect of a page.
suppress_warnings = ["ref.python"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True
default_role = "code"
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = f"backfire {release}"
html_copy_source = False
html_show_sphinx = False
