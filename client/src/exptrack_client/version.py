"""The version of this package; apart, so that building it imports nothing."""

VERSION = "0.1.0"
