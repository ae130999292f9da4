"""What Amazon tells an application of by itself: destinations, subscriptions, and the notices that go to a queue by them."""

import json
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from services.sandbox.state.notice_queues import APPLICATION_QUEUE, NoticeQueues
from services.sandbox.state.orders import PlacedOrder, Status
from services.sandbox.state.reports import Report
from services.sandbox.state.scenarios import Scenarios
from shared.marketplaces import BY_COUNTRY

ORDER_CHANGE: Final = "ORDER_CHANGE"
REPORT_FINISHED: Final = "REPORT_PROCESSING_FINISHED"
ACCOUNT_STATUS: Final = "ACCOUNT_STATUS_CHANGED"
_LATE_SECONDS: Final = 3_600
_MAX_ENTRIES: Final = 10_000
_Json = dict[str, Any]
_STATES: Final = {
    Status.PENDING_AVAILABILITY: "PendingAvailability",
    Status.PENDING: "Pending",
    Status.UNSHIPPED: "Unshipped",
    Status.PARTIALLY_SHIPPED: "PartiallyShipped",
    Status.SHIPPED: "Shipped",
    Status.CANCELLED: "Canceled",
    Status.UNFULFILLABLE: "Unfulfillable",
}


class Notices:
    """Who wants to be told of what, and the queues into which it is put."""

    def __init__(self, application_id: str, scenarios: Scenarios, now: Callable[[], datetime]) -> None:
        self._application_id = application_id
        self._scenarios = scenarios
        self._now = now
        self.queues = NoticeQueues()
        self.destinations: OrderedDict[str, _Json] = OrderedDict()
        self._subscriptions: OrderedDict[tuple[str, str], _Json] = OrderedDict()

    def add_destination(self, name: str, arn: str) -> _Json:
        """A new destination, and its queue."""
        destination_id = str(uuid.uuid4())
        destination = {"name": name, "destinationId": destination_id, "resource": {"sqs": {"arn": arn}}}
        self.destinations[destination_id] = destination
        while len(self.destinations) > _MAX_ENTRIES:
            self.destinations.popitem(last=False)
        self.queues.open(_queue_of(destination))
        return destination

    def subscribe(self, seller_id: str, kind: str, wanted: _Json) -> _Json:
        """A new subscription of a seller's to one kind of notice."""
        subscription = {"subscriptionId": str(uuid.uuid4()), **wanted}
        self._subscriptions[seller_id, kind] = subscription
        while len(self._subscriptions) > _MAX_ENTRIES:
            self._subscriptions.popitem(last=False)
        return subscription

    def subscription(self, seller_id: str, kind: str) -> _Json | None:
        return self._subscriptions.get((seller_id, kind))

    def unsubscribe(self, seller_id: str, kind: str) -> None:
        del self._subscriptions[seller_id, kind]

    def all_subscriptions(self) -> list[tuple[str, str, _Json]]:
        """Every subscription, with the seller's id and the kind of notice."""
        return [(seller_id, kind, found) for (seller_id, kind), found in self._subscriptions.items()]

    def restore(self, destinations: dict[str, _Json], subscriptions: list[tuple[str, str, _Json]]) -> None:
        """Put back what was there before a restart. Notices are not kept."""
        self.destinations = OrderedDict(destinations)
        for destination in destinations.values():
            self.queues.open(_queue_of(destination))
        self._subscriptions = OrderedDict(
            ((seller_id, kind), found) for seller_id, kind, found in subscriptions
        )

    def tell_of_order(self, placed: PlacedOrder, why: str) -> None:
        """ORDER_CHANGE, if the seller subscribed to it."""
        self._tell(placed.seller_id, ORDER_CHANGE, _order_change(placed, why, self._text()), pascal=True)

    def tell_of_report(self, report: Report) -> None:
        """REPORT_PROCESSING_FINISHED, if the seller subscribed to it."""
        told = {
            "sellerId": report.seller_id,
            "accountId": f"amzn1.merchant.o.{report.seller_id}",
            "reportId": report.report_id,
            "reportType": report.report_type,
            "processingStatus": report.outcome,
        }
        if report.has_document:
            told["reportDocumentId"] = report.document_id
        payload = {"reportProcessingFinishedNotification": told}
        self._tell(report.seller_id, REPORT_FINISHED, payload, version="2020-09-04")

    def tell_of_account(self, seller_id: str, country: str, before: str, after: str) -> None:
        """ACCOUNT_STATUS_CHANGED, if the seller subscribed to it. Amazon publishes no model of it; this form is a likely one."""
        told = {
            "sellerId": seller_id,
            "marketplaceId": BY_COUNTRY[country].marketplace_id,
            "previousAccountStatus": before,
            "currentAccountStatus": after,
        }
        self._tell(seller_id, ACCOUNT_STATUS, {"accountStatusChangeNotification": told})

    def tell_application(self, notice: _Json) -> None:
        """A notice about the application itself, into the queue that was registered for it."""
        self.queues.put(APPLICATION_QUEUE, json.dumps(notice), self._now())

    def _tell(
        self, seller_id: str, kind: str, payload: _Json, *, version: str = "1.0", pascal: bool = False
    ) -> None:
        subscription = self.subscription(seller_id, kind)
        destination = self.destinations.get(subscription["destinationId"]) if subscription else None
        if subscription is None or destination is None:
            return
        envelope = {
            "notificationVersion": version,
            "notificationType": kind,
            "payloadVersion": version,
            "eventTime": self._text(),
            "payload": payload,
            "notificationMetadata": {
                "applicationId": self._application_id,
                "subscriptionId": subscription["subscriptionId"],
                "publishTime": self._text(),
                "notificationId": str(uuid.uuid4()),
            },
        }
        body = json.dumps(_with_capitals(envelope) if pascal else envelope)
        late = self._scenarios.use("notices-late", seller_id, kind)
        seconds = 0.0 if late is None else late.seconds or _LATE_SECONDS
        due_at = self._now() + timedelta(seconds=seconds)
        turned = self._scenarios.happens("notices-out-of-order", seller_id, kind)
        for _ in range(2 if self._scenarios.happens("notices-doubled", seller_id, kind) else 1):
            self.queues.put(_queue_of(destination), body, due_at, first=turned)

    def _text(self) -> str:
        return self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _queue_of(destination: _Json) -> str:
    arn: str = destination["resource"]["sqs"]["arn"]
    return arn.rpartition(":")[2]


def _with_capitals(envelope: _Json) -> _Json:
    """ORDER_CHANGE alone is in capitals."""
    metadata = envelope["notificationMetadata"]
    changed = {
        **envelope,
        "notificationMetadata": {_capital(name): value for name, value in metadata.items()},
    }
    return {_capital(name): value for name, value in changed.items()}


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _order_change(placed: PlacedOrder, why: str, now: str) -> _Json:
    is_asked = any(item.cancel_request for item in placed.items)
    summary = {
        "MarketplaceId": BY_COUNTRY[placed.order.country].marketplace_id,
        "OrderStatus": _STATES[placed.status],
        "PurchaseDate": _time(placed.created_at),
        "DestinationPostalCode": None,
        "FulfillmentType": "MFN" if placed.is_of_merchant else "AFN",
        "OrderType": "StandardOrder",
        "NumberOfItemsShipped": sum(item.shipped for item in placed.items),
        "NumberOfItemsUnshipped": sum(item.quantity - item.shipped for item in placed.items),
        "EarliestShipDate": _time(placed.ship_by.earliest),
        "LatestShipDate": _time(placed.ship_by.latest),
        "EarliestDeliveryDate": _time(placed.deliver_by.earliest),
        "LatestDeliveryDate": _time(placed.deliver_by.latest),
        "OrderItems": [
            {
                "OrderItemId": item.item_id,
                "SellerSKU": item.sku,
                "SupplySourceId": None,
                "Quantity": item.quantity,
                "QuantityShipped": item.shipped,
                "IsBuyerRequestedCancel": bool(item.cancel_request),
            }
            for item in placed.items
        ],
    }
    return {
        "OrderChangeNotification": {
            "NotificationLevel": "OrderLevel",
            "SellerId": placed.seller_id,
            "AmazonOrderId": placed.order_id,
            "OrderChangeType": why,
            "OrderChangeTrigger": {
                "TimeOfOrderChange": now,
                "ChangeReason": "Buyer Requested Cancel" if is_asked else why,
            },
            "Summary": summary,
        }
    }


def _time(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
