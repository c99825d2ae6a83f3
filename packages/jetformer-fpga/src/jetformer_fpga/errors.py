"""The one base class of what this package raises on purpose."""


class FpgaError(Exception):
    """A sentence for the user: what was expected, what came, and the next step."""


class StateError(FpgaError):
    """The state file can't be built as firmware."""


class ToolError(FpgaError):
    """An outside tool is absent or failed."""


class ProjectError(FpgaError):
    """A firmware project folder is missing, incomplete or changed."""
