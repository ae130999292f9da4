"""How the site of these documents is made (`make docs`): Sphinx over the Markdown files as they are, with MyST, because it reads Markdown as GitHub does
(CommonMark), is kept by many, and fetches nothing, neither here nor in a reader's browser.

The pages are also read without the site, so they say nothing that only Sphinx understands: what stands where in the navigation is said here.
"""

import re
from pathlib import Path
from typing import Final

from sphinx.application import Sphinx
from sphinx.util.osutil import copyfile

_ROOT: Final = Path(__file__).parents[1]
# Captions of the navigation, and the pages below each. A page that is in none of them breaks the build.
NAVIGATION: Final = {
    "Run it": [
        "docs/operations/first-hour",
        "docs/operations/running",
        "docs/operations/settings",
        "docs/operations/smtp",
        "docs/operations/watching",
        "docs/operations/keys",
        "docs/operations/backup",
        "docs/operations/restore",
        "docs/operations/privacy",
        "docs/operations/kubernetes",
        "docs/operations/standby",
        "docs/operations/connections",
        "docs/operations/capacity",
    ],
    "Write programs for it": ["docs/api", "docs/problems", "docs/single-sign-on", "docs/sandbox"],
    "Rules and proofs": [
        "docs/security",
        "docs/compliance",
        "docs/privacy",
        "docs/standards",
        "docs/licences",
        "docs/benchmarks",
        "docs/soak",
    ],
    "Change it": ["CONTRIBUTING", "docs/architecture", "docs/mail", "CHANGELOG"],
}
# What stands below a page in turn.
BELOW: Final = {"docs/operations/watching": "runbook/*", "docs/architecture": "adr/*"}
_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)\)")

project = "Replyco's Amazon connection"
html_title = project
root_doc = "README"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/**/*.md"]
exclude_patterns = [
    *(path.name for path in _ROOT.iterdir() if path.is_dir() and path.name != "docs"),
    "**/__pycache__",
]
# Down to the deepest heading that a link leads to.
myst_heading_anchors = 4
# What stands in a sentence may be typed: no -- becomes a dash.
smartquotes = False
html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_domain_indices = False
html_use_index = False


def _prepare(_app: Sphinx, page: str, source: list[str]) -> None:
    """Add the page's part of the navigation, and take the links to folders off: a site has files alone."""
    folder = (_ROOT / page).parent
    text = _LINK.sub(lambda found: f"`{found[1]}`" if (folder / found[2]).is_dir() else found[0], source[0])
    if page == root_doc:
        for caption, pages in NAVIGATION.items():
            text += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
    elif page in BELOW:
        text += f"\n\n```{{toctree}}\n:hidden:\n:glob:\n:titlesonly:\n\n{BELOW[page]}\n```\n"
    source[0] = text


def _finish(app: Sphinx, failure: Exception | None) -> None:
    """Whoever opens the folder finds the first page."""
    if failure is None and app.builder.format == "html":
        copyfile(f"{app.outdir}/{root_doc}.html", f"{app.outdir}/index.html", force=True)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _prepare)
    app.connect("build-finished", _finish)
