"""The columns of order reports: those that each has, and those that a seller can switch on, by what they are about.

Names are as they stand in files of Amazon's, odd capitals and blanks included. Amazon calls its own list "not exhaustive".
"""

from typing import Final

ORDER_REPORT: Final = (
    *("order-id", "order-item-id", "purchase-date", "payments-date", "buyer-email", "buyer-name"),
    *(
        "buyer-phone-number",
        "sku",
        "product-name",
        "quantity-purchased",
        "currency",
        "item-price",
        "item-tax",
    ),
    *("shipping-price", "shipping-tax", "ship-service-level", "recipient-name", "ship-address-1"),
    *("ship-address-2", "ship-address-3", "ship-city", "ship-state", "ship-postal-code", "ship-country"),
    *("ship-phone-number", "delivery-start-date", "delivery-end-date", "delivery-time-zone"),
    *("delivery-Instructions", "sales-channel"),
)
ALL_ORDERS: Final = (
    *("amazon-order-id", "merchant-order-id", "purchase-date", "last-updated-date", "order-status"),
    *("fulfillment-channel", "sales-channel", "order-channel", "ship-service-level", "product-name", "sku"),
    *("asin", "item-status", "quantity", "currency", "item-price", "item-tax", "shipping-price"),
    *("shipping-tax", "gift-wrap-price", "gift-wrap-tax", "item-promotion-discount"),
    *("ship-promotion-discount", "ship-city", "ship-state", "ship-postal-code", "ship-country"),
    *("promotion-ids ", "is-business-order", "purchase-order-number", "price-designation"),
)
_SHIP_FROM_DEFAULT: Final = tuple(
    f"default-ship-from-address-{part}"
    for part in ("name", "field-1", "field-2", "field-3", "city", "state", "country", "postal-code")
)
_SHIP_FROM_ACTUAL: Final = tuple(
    f"actual-ship-from-address-{part}"
    for part in ("name", "1", "field-2", "field-3", "city", "state", "country", "postal-code")
)
# What each report has is left out here: sales-channel and delivery-instructions.
OPTIONAL_GROUPS: Final = {
    "promotions": (
        *("item-promotion-discount", "item-promotion-id", "ship-promotion-discount", "ship-promotion-id"),
    ),
    "gift": ("gift-wrap-type", "gift-message-text", "gift-wrap-price", "gift-wrap-tax"),
    "business": (*("is-business-order", "purchase-order-number", "price-designation", "buyer-company-name"),),
    "licence": ("licensee-name", "license-number", "license-state", "license-expiration-date"),
    "channel": ("order-channel", "order-channel-instance"),
    "service": (
        *("earliest-ship-date", "latest-ship-date", "earliest-delivery-date", "latest-delivery-date"),
        *("is-prime", "is-premium-order", "is-global-express", "ship-service-name", "fulfilled-by"),
        "shipment-status",
    ),
    "address": (
        *("Address-Type", "Number-of-items", "ship-county", "is-ispu-order", "store-chain-store-id"),
        *("is-pickup-point-order", "pickup-point-type"),
    ),
    "ship_from": (*_SHIP_FROM_DEFAULT, *_SHIP_FROM_ACTUAL),
    "tax": (
        *("tax-collection-model", "tax-collection-responsible-party", "ioss-number", "buyer-vat-number"),
        *("buyer-cst-number", "buyer-tax-registration-id", "buyer-tax-registration-country"),
        *("buyer-tax-registration-type", "cpf", "buyer-citizen-name", "buyer-citizen-id"),
        *("buyer-identification-number", "buyer-identification-type", "is-sold-by-ab", "is-iba"),
    ),
    "invoice": (
        *("order-invoice-type", "invoice-business-legal-name", "invoice-business-address"),
        *("invoice-business-tax-id", "invoice-business-tax-office", "bill-name", "bill-address-1"),
        *("bill-address-2", "bill-address-3", "bill-city", "bill-state", "bill-postal-code", "bill-country"),
    ),
    "payment": (
        *("payment-method", "payment-method-details", "payment-method-fee", "cod-collectible-amount"),
        *("already-paid", "points-granted"),
    ),
    "delivery": (
        *("delivery-preferred-time", "drop-off-location", "pallet-delivery"),
        *("scheduled-delivery-start-date", "scheduled-delivery-end-date"),
    ),
    "programmes": (
        *("is-transparency", "fulfillment plan", "customized-url", "customized-page", "amazon-programs"),
        "signature-confirmation-recommended",
    ),
    "cancellation": ("is-buyer-requested-cancellation", "buyer-requested-cancel-reason"),
    "replacement": ("is-replacement-order", "is-exchange-order", "original-order-id"),
    "shipping_settings": (
        *("is-shipping-settings-automation-enabled", "ssa-carrier", "ssa-ship-method"),
        *("verge-of-cancellation", "verge-of-lateShipment", "handling-time", "effective-handling-time"),
        *("handling-time-source", "transit-time", "transit-time-source", "transit-time-ship-from-city"),
        *("transit-time-ship-from-state", "transit-time-ship-from-country"),
    ),
}
OPTIONAL: Final = tuple(name for names in OPTIONAL_GROUPS.values() for name in names)
# In a file's header some names end in a blank.
IN_HEADER: Final = {"is-sold-by-ab": "is-sold-by-ab "}
