"""The `accounts` commands, which several rooms keep: accounts are listed, created, closed, reopened and erased."""

import typer

from services.connector.account_closing.commands import close, erase, reopen
from services.connector.accounts.commands import create
from services.connector.users.commands import list_accounts

accounts = typer.Typer(help="Accounts.", no_args_is_help=True)
accounts.command("list")(list_accounts)
accounts.command("close")(close)
accounts.command("reopen")(reopen)
accounts.command("erase")(erase)
accounts.command("create")(create)
