"""How scripts are put together."""

import pytest

from services.connector.web.script_bundles import COMMON, NotBundled, bundled

SCRIPTS = {
    "app.js": 'import { t } from "./core/i18n.js";\n\nt("a");\nawait import(`./pages/${name}.js`);\n',
    "core/i18n.js": 'const own = import.meta.url;\nexport function t(key) {\n  return own + key;\n}\n',
    "core/router.js": "export const route = 1;\n",
    "pages/inbox.js": 'import { row as line } from "./row.js";\n\nexport async function show() {\n  await import("./later.js");\n  line();\n}\n',
    "pages/row.js": 'import * as texts from "../core/i18n.js";\n\nexport const row = () => texts.t("b");\n',
    "pages/later.js": 'import { row } from "./row.js";\n\nexport class Later {}\n',
}  # fmt: skip


def test_a_page_is_what_all_pages_share_and_one_file_more() -> None:
    files = bundled(SCRIPTS, "app.js", ["core/i18n.js", "pages/inbox.js"])

    assert sorted(files) == ["app.js", COMMON, "core/i18n.js", "pages/inbox.js", "pages/later.js"]
    assert files["app.js"].splitlines()[:2] == [
        'import { modules } from "./common.js";',
        'const { t } = modules["core/i18n.js"];',
    ]
    # Each script has a scope of its own, runs once, and stands after what it needs.
    assert files["pages/inbox.js"].count("??= (() => {") == 2
    assert files["pages/inbox.js"].index('modules["pages/row.js"] ??=') < files["pages/inbox.js"].index(
        'const { row: line } = modules["pages/row.js"];'
    )
    assert 'const texts = modules["core/i18n.js"];' in files["pages/inbox.js"]
    assert files["pages/inbox.js"].endswith('export const { show } = modules["pages/inbox.js"];\n')
    assert files["core/i18n.js"] == (
        'import { modules } from "../common.js";\nexport const { t } = modules["core/i18n.js"];\n'
    )


def test_what_names_other_files_by_its_place_names_them_from_where_it_lies_now() -> None:
    files = bundled(SCRIPTS, "app.js", ["core/i18n.js", "pages/inbox.js"])

    assert 'const own = new URL("./core/i18n.js", import.meta.url).href;' in files[COMMON]
    assert 'import("./later.js")' in files["pages/inbox.js"]
    assert "import(`./pages/${name}.js`)" in files["app.js"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('export { t } from "./core/i18n.js";\n', "app.js: export { t }"),
        ("export default 1;\n", "app.js: export default"),
        ('import "./core/i18n.js";\n', "app.js: import"),
        ("export let changing = 1;\n", "app.js: export let"),
    ],
)
def test_another_form_of_import_or_export_is_refused_at_the_start(script: str, words: str) -> None:
    with pytest.raises(NotBundled, match=words):
        bundled({**SCRIPTS, "app.js": script}, "app.js", [])


def test_a_circle_of_imports_is_refused() -> None:
    circle = {"core/i18n.js": 'import { row } from "../pages/row.js";\nexport const t = row;\n'}

    with pytest.raises(NotBundled, match=r"core/i18n\.js → pages/row\.js → core/i18n\.js"):
        bundled(SCRIPTS | circle, "app.js", [])
