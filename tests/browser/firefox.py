"""Debian's Firefox without a window, driven over its Marionette protocol: a length, a colon, and JSON, over TCP."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

FIREFOX: Final = shutil.which("firefox-esr")
_LONGEST_WAIT_MS: Final = 30_000
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
# No traffic of its own, no first page, no question; the port is a free one that is written into the profile.
_PREFERENCES: Final = {
    "marionette.port": 0,
    "intl.accept_languages": "de-DE",
    "browser.startup.page": 0,
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
}
# A page's process tells the console's of an error when it comes to it.
_ERRORS: Final = """
    const [address, done] = arguments;
    const errors = () => Services.console.getMessageArray()
        .filter((each) => each instanceof Ci.nsIScriptError && !(each.flags & (Ci.nsIScriptError.warningFlag | Ci.nsIScriptError.infoFlag)))
        .filter((each) => each.sourceName.startsWith(address))
        .map((each) => each.errorMessage);
    const listener = { QueryInterface: ChromeUtils.generateQI(["nsIConsoleListener"]), observe: tell };
    Services.console.registerListener(listener);
    tell();

    function tell() {
        if (!errors().length) return;
        Services.console.unregisterListener(listener);
        done(errors());
    }
"""


class Firefox:
    """One window. Whatever is looked for is waited for, half a minute at most."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._sent = 0

    async def start(self) -> None:
        await self._read()
        await self._do("WebDriver:NewSession")
        await self._do(
            "WebDriver:SetTimeouts",
            implicit=_LONGEST_WAIT_MS,
            pageLoad=_LONGEST_WAIT_MS,
            script=_LONGEST_WAIT_MS,
        )

    async def goto(self, address: str) -> None:
        await self._do("WebDriver:Navigate", url=address)

    async def find(self, xpath: str) -> str:
        """An element, once it is there."""
        answer = await self._do("WebDriver:FindElement", using="xpath", value=xpath)
        element: str = answer["value"][_ELEMENT]
        return element

    async def click(self, xpath: str) -> None:
        await self._do("WebDriver:ElementClick", id=await self.find(xpath))

    async def type(self, xpath: str, text: str) -> None:
        await self._do("WebDriver:ElementSendKeys", id=await self.find(xpath), text=text)

    async def is_seen(self, xpath: str) -> bool:
        answer = await self._do("WebDriver:IsElementDisplayed", id=await self.find(xpath))
        return answer["value"] is True

    async def run(self, script: str) -> None:
        """A script in the page."""
        await self._do("WebDriver:ExecuteScript", script=script, args=[])

    async def script_errors(self, url: str) -> list[str]:
        """What the browser's console says of scripts below an address, once it says something."""
        await self._do("Marionette:SetContext", value="chrome")
        answer = await self._do("WebDriver:ExecuteAsyncScript", script=_ERRORS, args=[url])
        await self._do("Marionette:SetContext", value="content")
        errors: list[str] = answer["value"]
        return errors

    async def _do(self, name: str, **parameters: Any) -> dict[str, Any]:
        self._sent += 1
        command = json.dumps([0, self._sent, name, parameters]).encode()
        self._writer.write(b"%d:%b" % (len(command), command))
        await self._writer.drain()
        _, number, error, result = await self._read()
        assert number == self._sent
        assert error is None, f"{name} {parameters}: {error['message']}"
        return result or {}

    async def _read(self) -> Any:
        length = await self._reader.readuntil(b":")
        return json.loads(await self._reader.readexactly(int(length[:-1])))


@asynccontextmanager
async def firefox(folder: Path) -> AsyncIterator[Firefox]:
    """The Firefox of this machine, with a profile of its own below `folder`."""
    assert FIREFOX is not None
    profile = folder / "profile"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        FIREFOX, "--headless", "--marionette", "-remote-allow-system-access", "--no-remote", "--profile", str(profile),
        env={"HOME": str(folder), "PATH": os.defpath, "MOZ_HEADLESS_WIDTH": "1280", "MOZ_HEADLESS_HEIGHT": "900"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        port = await _port(process.stdout)
        # A program stops where nobody reads what it says.
        reading = asyncio.create_task(process.stdout.read())
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        try:
            opened = Firefox(reader, writer)
            await opened.start()
            yield opened
        finally:
            writer.close()
    finally:
        process.terminate()
        await process.wait()
    await reading


async def _port(said: asyncio.StreamReader) -> int:
    """What Firefox says once it listens."""
    async for line in said:
        if b"Listening on port" in line:
            return int(line.split()[-1])
    raise AssertionError("Firefox ended before it listened.")
