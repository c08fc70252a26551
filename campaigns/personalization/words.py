"""What can become of a text that a service was asked to write for one recipient."""

from enum import StrEnum


class Outcome(StrEnum):
    """`personalized`, or why the template as it is filled in for the recipient is sent instead."""

    PERSONALIZED = "personalized"
    TOO_SLOW = "too_slow"
    OUT_OF_TIME = "out_of_time"
    UNREACHABLE = "unreachable"
    BAD_STATUS = "bad_status"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    UNFILLED = "unfilled"
