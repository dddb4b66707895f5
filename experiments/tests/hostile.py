"""Texts that try to become something else on a page."""

from __future__ import annotations

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "<math><mtext></title><style><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{ settings.SECRET_KEY }}{% debug %}",
    "</script><script>alert(1)</script>",
    '<b hx-get="/account/" hx-trigger="load">x</b>',
    "<b hx-on:load=alert(1) data-hx-get=/ >x</b>",
    '<form id="filters" name="querySelector"><input name="attributes"></form>',
    "\u202egpj.exe",
    "%s %(x)s {0} {x}",
    "' OR 1=1 --",
    "a" * 250,
)
# The same in fewer, for pages that take them one after another: each of these still begins as one
# of them does, where that matters, and keeps whole ones when it is cut to a hundred characters.
TEXTS = (
    " ".join(PAYLOADS[:3]),
    f"{PAYLOADS[3]} {PAYLOADS[7]}",
    f"{PAYLOADS[4]} {PAYLOADS[6]} {PAYLOADS[12]} {PAYLOADS[13]} {PAYLOADS[11]}",
    f"{PAYLOADS[5]} {PAYLOADS[8]}",
    f"{PAYLOADS[9]} {PAYLOADS[10]}",
    PAYLOADS[14],
)
MARKDOWN = (
    "[a](javascript:alert(1)) [b](vbscript:x) ![i](http://169.254.169.254/x.png)\n\n"
    "<iframe src=//evil></iframe>\n\n[c](//evil.example)\n\n" + "\n\n".join(PAYLOADS)
)
# What none of these may leave in a page, since the payloads alone would put it there.
TRACES = (
    "<script>alert",
    "<img src=x",
    "<svg/onload",
    "<math",
    "<b hx-",
    "<iframe",
    "onerror=alert(1)>",
)


def is_inert(html: str) -> bool:
    """Whether none of the payloads has become markup."""
    return not any(trace in html for trace in TRACES)
