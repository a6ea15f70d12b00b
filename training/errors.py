"""What training refuses."""


class TrainingError(Exception):
    """The pictures, the tables, a setting or the disk is not what it should be; the message says what to do."""
