"""Every error that a user can cause. Each message names the value and the mend."""

from __future__ import annotations


class BackfireError(Exception):
    """Root of the tree; the command line prints it without a traceback and exits with 2."""


class InputError(BackfireError):
    """A file, a column, an option or a value that cannot be used as it is."""


class ModelError(BackfireError):
    """A model reference that cannot be opened."""


class TemplateError(ModelError):
    """A chat template that would corrupt training or sampling."""


class EndpointError(ModelError):
    """An OpenAI-compatible server that did not give a usable reply."""


class RefusedError(EndpointError):
    """A request that the server answered by refusing it; others may pass."""


class StudyError(BackfireError):
    """A study file, or a run folder, that does not fit what is asked of it."""
