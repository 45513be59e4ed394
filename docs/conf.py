"""How Sphinx builds these pages."""

from stgcn_pyg import __version__

project = "stgcn-pyg"
release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tests run the tour; the page shows what it gave

napoleon_custom_sections = ["Shapes"]
napoleon_use_ivar = True

add_module_names = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"stgcn-pyg {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
