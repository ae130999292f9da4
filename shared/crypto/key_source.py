"""The key-encryption keys that the settings name: in a key file, in AWS KMS, or in both while one takes over from the other.

With both, the file says which wraps, and is read again by running processes: first all of them are told of KMS, then `keys use kms` lets it wrap.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import (
    KMS,
    KeyFile,
    KeyFileUnusable,
    KeyNotChangeable,
    KeyServiceUnavailable,
)
from shared.settings import KeySourceSettings

if TYPE_CHECKING:
    from shared.crypto.aws_kms import AwsKms


class KeySource:
    """A KeyProvider of all that the settings name. Whoever made it closes it."""

    def __init__(self, file: KeyFile | None, kms: "AwsKms | None") -> None:
        self._file = file
        self._kms = kms

    @classmethod
    def open(cls, settings: KeySourceSettings) -> Self:
        """Raises KeyFileUnusable. KMS is asked nothing yet."""
        file = None if settings.key_file is None else KeyFile.load(settings.key_file)
        kms = _kms(settings)
        if file is not None and file.current_id == KMS and kms is None:
            # It would unwrap nothing of what is new.
            raise KeyFileUnusable(path=str(settings.key_file), needs="REPLYCO_KMS_KEY")
        return cls(file, kms)

    @property
    def has_file(self) -> bool:
        """Whether some of the keys are in a key file."""
        return self._file is not None

    @property
    def current_id(self) -> str:
        """The id of the key that new values are wrapped with: of the file, or an ARN."""
        if self._file is not None and self._file.current_id != KMS:
            return self._file.current_id
        return self._of_kms().key_arn

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The file's keys, the oldest first, then the one of KMS."""
        of_file = () if self._file is None else self._file.key_ids
        return of_file if self._kms is None else (*of_file, self._kms.key_arn)

    def made_at(self, key_id: str) -> datetime | None:
        """When a key of the file was made; None if the file does not say, or if it is not in the file."""
        return None if self._file is None else self._file.made_at(key_id)

    def is_in_kms(self, key_id: str) -> bool:
        """Whether it is a key of our KMS, which rotates by itself if it is told so there."""
        return self._kms is not None and self._kms.knows(key_id)

    def add(self, *, use: bool) -> str:
        """As KeyFile's. Raises KeyFileUnusable, KeyNotChangeable."""
        if self._file is None or self._file.current_id == KMS:
            raise KeyNotChangeable(
                "The key that wraps is in KMS. Make a new one there, set REPLYCO_KMS_KEY to it for every process, restart them, then run "
                "`keys rewrap`. To a key file: name it with REPLYCO_KEY_FILE and run `keys use` with a key of it."
            )
        return self._file.add(use=use)

    def use(self, key_id: str) -> None:
        """Wrap with this key from now on: one of the file, or `kms`. Raises KeyFileUnusable, KeyNotChangeable."""
        if self._file is None:
            raise KeyNotChangeable("Without a key file, the key of REPLYCO_KMS_KEY wraps.")
        if key_id == KMS or self.is_in_kms(key_id):
            if self._kms is None:
                raise KeyNotChangeable("Set REPLYCO_KMS_KEY and what belongs to it first, for every process.")
            self._file.use_kms()
        else:
            self._file.use(key_id)

    def remove(self, key_id: str) -> None:
        """Forget a key of the file. Raises KeyFileUnusable, KeyNotChangeable."""
        if self._file is None or self.is_in_kms(key_id):
            raise KeyNotChangeable(
                f"{key_id} is in KMS. Disable it there, and delete it when no backup needs it."
            )
        self._file.remove(key_id)

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        if self._file is not None and self._file.current_id != KMS:
            return await self._file.wrap(key, context)
        return await self._of_kms().wrap(key, context)

    async def unwrap(self, wrapping_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        if self._kms is not None and self._kms.knows(wrapping_key_id):
            return await self._kms.unwrap(wrapping_key_id, wrapped, context)
        if self._file is None:
            raise SealBroken(wrapping_key_id=wrapping_key_id)
        return await self._file.unwrap(wrapping_key_id, wrapped, context)

    def knows(self, wrapping_key_id: str) -> bool:
        return self.is_in_kms(wrapping_key_id) or (
            self._file is not None and self._file.knows(wrapping_key_id)
        )

    async def close(self) -> None:
        if self._kms is not None:
            await self._kms.close()

    def _of_kms(self) -> "AwsKms":
        if self._kms is None:
            # The file has changed over after this process had started without the settings.
            raise KeyServiceUnavailable(reason="kms_key_not_set")
        return self._kms


def _kms(settings: KeySourceSettings) -> "AwsKms | None":
    key_arn, key_id, secret = settings.kms_key, settings.kms_access_key_id, settings.kms_secret_access_key
    if key_arn is None or key_id is None or secret is None:
        return None
    from shared.crypto.aws_kms import AwsKms, KmsAccess  # noqa: PLC0415  # only who has a key there loads an HTTP client

    return AwsKms(KmsAccess(key_arn, key_id, secret, settings.kms_endpoint))
