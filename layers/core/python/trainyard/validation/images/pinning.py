"""An image of a user's own is pinned: its tag becomes a digest and its layers, or a finding that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from trainyard.model.finding import Finding
from trainyard.model.image import ImageReference, PinnedImage, is_allowed
from trainyard.model.settings import settings
from trainyard.model.spec import RunSpec
from trainyard.registries.contract import Registry
from trainyard.registries.registry import registry
from trainyard.store import State
from trainyard.store.registry_logins import registry_credentials
from trainyard.validation.images import faults
from trainyard.validation.images.faults import ImageFault
from trainyard.validation.images.lookup import look_up
from trainyard.validation.rules import rule
from trainyard.validation.view import RunView

Registries = Callable[[str], Registry]


def registries_for(state: State, project: str) -> Registries:
    """Every registry, as that project may read it."""

    def open_registry(host: str) -> Registry:
        credentials = registry_credentials(state.secrets, state.table.repository(project), host)
        return registry(host, credentials=credentials)

    return open_registry


@dataclass(frozen=True)
class ImagePinning:
    """`spec` with the digest beside the image's tag, where it could be looked up."""

    spec: RunSpec
    image: PinnedImage | None = None
    findings: list[Finding] = field(default_factory=list)


class ImagePinner:
    """Looks each image up once, so that all runs of a push stand on the same one, wherever a tag moves meanwhile."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries
        self._known: dict[ImageReference, PinnedImage | ImageFault] = {}

    def pin(self, view: RunView) -> ImagePinning:
        """Look the run's image up, if it names one.

        Raises:
            HostUnavailableError: the registry could not be reached now; deliver the event again.
        """
        if not view.spec.image:
            return ImagePinning(view.spec)
        reference = ImageReference.parse(view.spec.image)
        if reference not in self._known:
            self._known[reference] = self._look_up(reference)
        found = self._known[reference]
        if isinstance(found, ImageFault):
            finding = rule(found.rule_id).finding(view.place("image"), found.message, found.fix)
            return ImagePinning(view.spec, findings=[finding])
        return ImagePinning(view.spec.model_copy(update={"image": found.reference}), found)

    def _look_up(self, reference: ImageReference) -> PinnedImage | ImageFault:
        allowed = settings().allowed_image_registries
        if not is_allowed(reference, allowed):
            return faults.not_allowed(reference, allowed)
        try:
            return look_up(reference, self._registries(reference.registry))
        except ImageFault as fault:
            return fault
