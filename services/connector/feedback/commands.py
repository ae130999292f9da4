"""The `feedback` command, for operators: which pages helped, and which did not."""

from services.connector.feedback import service
from shared.database_command import run_with_database
from shared.process import settings_or_exit
from shared.settings import CommonSettings


def feedback() -> None:
    """Show how often the guide and the pages that tell a problem helped, by month; the pages that helped least first."""
    settings = settings_or_exit(CommonSettings)
    print("month\tpage\tlanguage\thelped\tdid not help")
    for count in run_with_database(settings, "connector-feedback", service.list_counts):
        print(f"{count.month:%Y-%m}\t{count.page}\t{count.language}\t{count.helpful}\t{count.not_helpful}")
