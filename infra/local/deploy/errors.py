"""What can be wrong with a template, or with taking it to the emulator."""

from __future__ import annotations

from trainyard.model.errors import UserError


class DeploymentFailed(UserError):
    """The stack was refused or did not come up; the message names the resource and the reason."""

    code = "deployment_failed"


class CannotTranslate(UserError):
    """The template uses something that neither the emulator nor a translation knows."""

    code = "cannot_translate"
