"""The error of all training commands."""


class TrainingError(Exception):
    """Something is wrong with the pictures, the tables, a setting or the disk; the message says what to do."""
