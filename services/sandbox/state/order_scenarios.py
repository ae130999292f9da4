"""What can go wrong with orders, reports and notices about them: the names of these scenarios, each with a sentence."""

from typing import Final

ORDER_SCENARIOS: Final = {
    "orders-forbidden": "searchOrders: 403 without details, whatever is asked; another operation if named.",
    "orders-late": "searchOrders finds an order only `seconds` after its last change, else an hour after it; its lastUpdatedTime lies in the past then.",
    "orders-regress": "Orders are told as they were when they were bought.",
    "orders-vanish": "Orders are not found: searchOrders passes over them, getOrder answers 404.",
    "orders-page-token-expired": "searchOrders: 400, the paginationToken has expired.",
    "orders-of-500-items": "Orders have 500 items.",
    "orders-negative-amounts": "All amounts are negative.",
    "orders-unknown-currency": "All amounts are in a currency that nobody knows.",
    "orders-unknown-status": "Orders and packages are in a state that nobody knows.",
    "orders-dates-without-zone": "No time has a zone.",
}
# The operation that limits one of these is the type of the report.
REPORT_SCENARIOS: Final = {
    "report-cancelled": "Reports end CANCELLED, as without data.",
    "report-fatal": "Reports end FATAL, and their document says why.",
    "report-stuck": "Reports stay IN_PROGRESS.",
    "report-cooldown": "A report of the same type and range as one of the last 30 minutes ends CANCELLED.",
    "report-cut": "The document ends in the middle of a line.",
    "report-cut-transfer": "The connection breaks while the document is downloaded.",
    "report-column-twice": "One column is there twice.",
    "report-wrong-charset": "The document is in another charset than its Content-Type says.",
    "report-zip-bomb": "The document is eight gigabytes of one letter, compressed to eight megabytes.",
    "report-huge": "The document has four gigabytes.",
    "report-url-elsewhere": "The document's URL leads to a host that is not Amazon's.",
    "report-url-redirects": "The document's URL redirects into the network of whoever fetches it.",
}
# The operation that limits one of these is the kind of the notice.
NOTICE_SCENARIOS: Final = {
    "notices-late": "Notices come `seconds` late, else an hour.",
    "notices-doubled": "Each notice comes twice.",
    "notices-out-of-order": "Notices come in the reverse order.",
}
