"""The page on which a person switches scenarios on and off and moves the sandbox's clock. In English: it is for developers."""

import re
from html import escape
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import SandboxDep
from services.sandbox.html_page import hidden, option, page
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.roles import RestrictedRole
from services.sandbox.state.scenarios import SCENARIOS, SMTP_WORDS, Switch, TooManySwitches, UnknownScenario

router = APIRouter()

SCENARIOS_PATH: Final = "/scenarios"
_CLOCK_STEPS: Final = {
    "5 minutes": 300,
    "10 minutes": 600,
    "1 hour": 3_600,
    "1 day": 86_400,
    "7 days": 7 * 86_400,
    "365 days": 365 * 86_400,
}


@router.get(SCENARIOS_PATH)
async def scenarios_page(sandbox: SandboxDep) -> Response:
    forms = (_switch_form(sandbox), _now_on(sandbox), _clock_form(sandbox), _roles_form(sandbox))
    return page("en", "Scenarios", "".join(forms) + _list())


@router.post(SCENARIOS_PATH)
async def change(request: Request, sandbox: SandboxDep) -> Response:
    form = await request.form(max_files=0, max_fields=10, max_part_size=1_024)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if not _apply(fields, sandbox):
        return page(
            "en", "Scenarios", '<p class="wrong" role="alert">There is no such thing.</p>', status=422
        )
    return RedirectResponse(SCENARIOS_PATH, 303)


def _apply(fields: dict[str, str], sandbox: Sandbox) -> bool:
    """Do what the form says. False if it says nothing that can be done."""
    name, seller_id = fields.get("name", ""), fields.get("seller_id") or None
    count = fields.get("count", "")
    try:
        match fields.get("action"):
            case "on" if seller_id in {None, *sandbox.sellers}:
                sandbox.scenarios.switch_on(
                    name,
                    seller_id=seller_id,
                    operation=fields.get("operation") or None,
                    count=_whole_number(count),
                    words=_words(fields.get("words", "")),
                    seconds=_whole_number(fields.get("seconds", "")),
                )
            case "off":
                sandbox.scenarios.switch_off(name, seller_id=seller_id)
            case "all_off":
                sandbox.scenarios.switch_all_off()
            case "advance":
                sandbox.advance_clock(_CLOCK_STEPS[fields.get("step", "")])
            case "roles":
                sandbox.restricted_roles = frozenset(role for role in RestrictedRole if role in fields)
            case _:
                return False
    except (UnknownScenario, TooManySwitches, KeyError, ValueError):
        return False
    return True


def _whole_number(entered: str) -> int | None:
    return int(entered) if entered.isascii() and entered.isdigit() and int(entered) > 0 else None


def _words(entered: str) -> str | None:
    """What the mail server says, or None for its own words. Raises ValueError for what no server says."""
    if entered and re.fullmatch(SMTP_WORDS, entered) is None:
        raise ValueError
    return entered or None


def _switch_form(sandbox: Sandbox) -> str:
    names = "".join(option(name, name) for name in SCENARIOS)
    sellers = option("", "every seller") + "".join(
        option(seller.seller_id, f"{seller.store_name} ({seller.seller_id})")
        for seller in sandbox.sellers.values()
    )
    return f"""<form method="post" action="{SCENARIOS_PATH}">{hidden(action="on")}
<label for="name">Scenario</label><select id="name" name="name">{names}</select>
<label for="seller_id">Seller</label><select id="seller_id" name="seller_id">{sellers}</select>
<label for="count">Number of times (empty: until it is switched off)</label>
<input type="number" id="count" name="count" min="1">
<label for="operation">Operation of the SP-API, or grant type (empty: any)</label>
<input type="text" id="operation" name="operation" maxlength="100">
<label for="words">What the mail server says, such as 550 5.7.1 Message rejected (empty: its own words)</label>
<input type="text" id="words" name="words" maxlength="400">
<label for="seconds">Seconds of a delay (empty: 600)</label><input type="number" id="seconds" name="seconds" min="1">
<button class="main" id="on" type="submit">Switch on</button></form>"""


def _now_on(sandbox: Sandbox) -> str:
    switches = sandbox.scenarios.now_on()
    if not switches:
        return '<h2>On now</h2><p id="nothing-on">Nothing: Amazon behaves.</p>'
    rows = "".join(_show_switch(switch) for switch in switches)
    return f"""<h2>On now</h2><ul id="on-now">{rows}</ul><form method="post" action="{SCENARIOS_PATH}">
{hidden(action="all_off")}<button id="all-off" type="submit">Switch all off</button></form>"""


def _show_switch(switch: Switch) -> str:
    limits = [
        switch.seller_id or "every seller",
        switch.operation or "",
        f"{switch.left} left" if switch.left else "",
        switch.words or "",
        f"{switch.seconds:g} seconds" if switch.seconds else "",
    ]
    about = escape(", ".join(limit for limit in limits if limit))
    return f"""<li><code>{switch.name}</code> ({about}) <form method="post" action="{SCENARIOS_PATH}">
{hidden(action="off", name=switch.name, seller_id=switch.seller_id or "")}
<button type="submit" aria-label="Switch off {switch.name}">Switch off</button></form></li>"""


def _clock_form(sandbox: Sandbox) -> str:
    buttons = "".join(
        f'<button type="submit" name="step" value="{step}">{step}</button>' for step in _CLOCK_STEPS
    )
    return f"""<h2>Clock</h2><p>Amazon's clock says <time id="now">{sandbox.now():%Y-%m-%d %H:%M:%S} UTC</time>.
Codes, tokens, consents and old client secrets age by it. Forward by:</p>
<form method="post" action="{SCENARIOS_PATH}">{hidden(action="advance")}{buttons}</form>"""


def _roles_form(sandbox: Sandbox) -> str:
    ticks = "".join(
        f'<label class="tick"><input type="checkbox" name="{role}" id="role-{role}" value="yes"'
        f"{' checked' if role in sandbox.restricted_roles else ''}> {role}</label>"
        for role in RestrictedRole
    )
    return f"""<h2>Roles</h2><p>Restricted roles of the application, without which buyers' personal data is absent.</p>
<form method="post" action="{SCENARIOS_PATH}">{hidden(action="roles")}{ticks}
<button id="save-roles" type="submit">Save</button></form>"""


def _list() -> str:
    parts = dict.fromkeys(scenario.part for scenario in SCENARIOS.values())
    return "".join(
        f"<h2>{part.capitalize()}</h2><dl>"
        + "".join(
            f"<dt><code>{scenario.name}</code></dt><dd>{escape(scenario.description)}</dd>"
            for scenario in SCENARIOS.values()
            if scenario.part == part
        )
        + "</dl>"
        for part in parts
    )
