"""The file formats that are scored, one module each, and the names of those that are not."""


class DamagedError(Exception):
    """The file is damaged or cut short."""
