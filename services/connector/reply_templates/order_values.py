"""What a text may say of an order, in the text's own language: words, dates and amounts as its reader writes them. Pure.

What is not known has no value: a text is not filled with a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency

from services.connector.reply_templates.placeholders import Placeholder
from shared.marketplaces import BY_COUNTRY, TIME_ZONES

# A text has 4,000 characters; more titles or numbers say less.
_MOST_TITLES: Final = 10
_MOST_PACKAGES: Final = 5
# What Amazon's words mean to a buyer, in the order of _STATUSES. Words that are not here mean nothing to one.
_STATUSES: Final = (
    "PENDING_AVAILABILITY",
    "PENDING",
    "UNSHIPPED",
    "PARTIALLY_SHIPPED",
    "SHIPPED",
    "CANCELLED",
)
_DELIVERED: Final = len(_STATUSES)
_WORDS: Final = {
    "ar": ("طلب مسبق", "لم يُؤكَّد بعد", "قيد التحضير", "شُحن جزئيًا", "شُحن", "أُلغي", "تم التسليم"),
    "cs": ("předobjednáno", "zatím nepotvrzeno", "připravuje se", "částečně odesláno", "odesláno", "zrušeno", "doručeno"),
    "da": ("forudbestilt", "endnu ikke bekræftet", "under forberedelse", "delvist afsendt", "afsendt", "annulleret", "leveret"),
    "de": ("vorbestellt", "noch nicht bestätigt", "wird vorbereitet", "teilweise versandt", "versandt", "storniert", "zugestellt"),
    "en": ("pre-ordered", "not yet confirmed", "being prepared", "partly shipped", "shipped", "cancelled", "delivered"),
    "es": ("reservado", "aún sin confirmar", "en preparación", "enviado en parte", "enviado", "cancelado", "entregado"),
    "fr": ("précommandée", "pas encore confirmée", "en préparation", "partiellement expédiée", "expédiée", "annulée", "livrée"),
    "it": ("preordinato", "non ancora confermato", "in preparazione", "spedito in parte", "spedito", "annullato", "consegnato"),
    "ja": ("予約済み", "未確定", "発送準備中", "一部発送済み", "発送済み", "キャンセル済み", "配達済み"),
    "ko": ("예약됨", "아직 확인되지 않음", "발송 준비 중", "일부 발송됨", "발송됨", "취소됨", "배송 완료"),
    "nl": ("vooruitbesteld", "nog niet bevestigd", "in voorbereiding", "gedeeltelijk verzonden", "verzonden", "geannuleerd", "bezorgd"),
    "pl": ("w przedsprzedaży", "jeszcze niepotwierdzone", "w przygotowaniu", "częściowo wysłane", "wysłane", "anulowane", "doręczone"),
    "pt": ("em pré-venda", "ainda não confirmado", "em preparação", "enviado em parte", "enviado", "cancelado", "entregue"),
    "ru": ("предзаказ", "ещё не подтверждён", "готовится к отправке", "частично отправлен", "отправлен", "отменён", "доставлен"),
    "sv": ("förbeställd", "ännu inte bekräftad", "under förberedelse", "delvis skickad", "skickad", "avbeställd", "levererad"),
    "tr": ("ön sipariş", "henüz onaylanmadı", "hazırlanıyor", "kısmen gönderildi", "gönderildi", "iptal edildi", "teslim edildi"),  # noqa: RUF001
    "zh": ("已预订", "尚未确认", "准备发货", "部分已发货", "已发货", "已取消", "已送达"),
}  # fmt: skip
# Whose days a marketplace counts. Amazon's promises end with a day there: in UTC, many would be the day after. Where it does not say which of a
# country's zones it counts in, the one in which a day ends last: the end of a day further east is the same day there, and none is told late.
_ZONES: Final = TIME_ZONES | {"CA": "America/Vancouver", "MX": "America/Tijuana"}


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """What is known of the order that a conversation is about. `packages`: carrier and tracking number of each."""

    country: str | None
    status: str
    is_delivered: bool
    purchased_at: datetime | None
    ship_by: datetime | None
    deliver_by: datetime | None
    total: Decimal | None
    currency: str | None
    titles: Sequence[str | None]
    packages: Sequence[tuple[str | None, str | None]]


def order_values(order: KnownOrder, language: str) -> Mapping[Placeholder, str | None]:
    """The values of an order's placeholders for a text in this language."""
    locale = _locale(language, order.country)

    def day(at: datetime | None) -> str | None:
        zone = _ZONES.get(order.country or "")
        # Without its marketplace nobody knows which day it is.
        return (
            None if at is None or zone is None else format_date(at.astimezone(ZoneInfo(zone)), "long", locale)
        )

    carriers = [carrier for carrier, _ in order.packages]
    numbers = [number for _, number in order.packages]
    return {
        Placeholder.ORDER_STATUS: _status(order, language),
        Placeholder.ORDER_DATE: day(order.purchased_at),
        Placeholder.SHIP_BY: day(order.ship_by),
        Placeholder.DELIVER_BY: day(order.deliver_by),
        Placeholder.ORDER_TOTAL: None
        if order.total is None or order.currency is None
        else format_currency(order.total, order.currency, locale=locale),
        Placeholder.ITEM_TITLES: _joined(order.titles, "; ", _MOST_TITLES),
        Placeholder.CARRIER: _joined(carriers, ", ", _MOST_PACKAGES),
        Placeholder.TRACKING_NUMBER: _joined(numbers, ", ", _MOST_PACKAGES),
    }


def _status(order: KnownOrder, language: str) -> str | None:
    words = _WORDS[language.partition("-")[0]]
    if order.is_delivered:
        return words[_DELIVERED]
    return words[_STATUSES.index(order.status)] if order.status in _STATUSES else None


def _joined(values: Sequence[str | None], separator: str, most: int) -> str | None:
    """Each once; what does not fit is said to be left out. A value that is missing among others leaves all of them unsaid."""
    if not values or any(value is None for value in values):
        return None
    told = list(dict.fromkeys(value for value in values if value is not None))
    return separator.join(told[:most]) + (" …" if len(told) > most else "")


def _locale(language: str, country: str | None) -> Locale:
    """As the language is written in that country, such as English in Great Britain; else as it is anywhere."""
    name, _, own_country = language.partition("-")
    territory = own_country or (country if country in BY_COUNTRY else None)
    try:
        return Locale(name, territory)
    except UnknownLocaleError:
        return Locale(name)
