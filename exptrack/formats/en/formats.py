"""Dates that sort as they read, and leave a list of runs room for its other columns."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i"
