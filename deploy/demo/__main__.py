"""`make demo`: everything on this machine, until Ctrl-C."""

import asyncio
import signal
import sys

from deploy.demo.settings import DemoSettings
from deploy.demo.stack import DEMO_EMAIL, DemoFailed, Stack
from shared.settings import SettingsWrong, load_settings


async def _run(settings: DemoSettings) -> None:
    """Ends by being cancelled: with Ctrl-C, SIGTERM or the terminal's end, also while things are still starting."""
    this_task = asyncio.current_task()
    assert this_task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    print("starting …", flush=True)
    async with Stack(settings) as stack:
        print(
            f"""
  Pages and REST   {stack.url}
  Sign in          {DEMO_EMAIL}   password: {stack.password}
  Sandbox          {stack.sandbox_url}   (stands in for Amazon: Seller Central, and the buyer)
  SMTP             localhost:{settings.smtp_port}
  Mails to sellers {stack.sandbox_url}/inbox   (what is sent to localhost:{settings.sandbox_smtp_port})
  Logs             {stack.data / "logs"}

  Ctrl-C stops everything. The data stay in {stack.data}.

ready""",
            flush=True,
        )
        await stack.keep_running(lambda line: print(line, flush=True))


def main() -> int:
    """The exit code."""
    try:
        asyncio.run(_run(load_settings(DemoSettings)))
    except asyncio.CancelledError:
        print("stopped")
    except (SettingsWrong, DemoFailed) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
