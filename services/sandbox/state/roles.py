"""The restricted roles of the application, without which the SP-API leaves buyers' personal data out. At the start it has none."""

from enum import StrEnum
from typing import Final


class RestrictedRole(StrEnum):
    """A role that Amazon gives only after an audit."""

    DIRECT_TO_CONSUMER_SHIPPING = "direct_to_consumer_shipping"
    TAX_INVOICING = "tax_invoicing"
    TAX_REMITTANCE = "tax_remittance"
    PROFESSIONAL_SERVICES = "professional_services"


TAX_ROLES: Final = frozenset({RestrictedRole.TAX_INVOICING, RestrictedRole.TAX_REMITTANCE})
