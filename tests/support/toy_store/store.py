"""The toy store's descriptor."""

from typing import Literal

from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase


class ToyTarget(TargetBase):
    store: Literal["toy"]

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("toy",)


STORE = Store(
    name="toy",
    package="toy_store",
    target=ToyTarget,
    variables={"url": ("TOY_URL",)},
    up="toy_up",
    prefixes=("toy_",),
)
