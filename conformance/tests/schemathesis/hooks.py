"""What the contract says in words about time. A short deadline is a race between the answer and the clock:
201, 408 or 504, whoever wins. So legal and short deadlines become long ones; all others stay what they are."""

import schemathesis

DEADLINE = "x-deadline-ms"
LONG_MS = 3000


def granted(case):
    """How many milliseconds a request grants, or None where it names no such number."""
    text = str((case.headers or {}).get(DEADLINE, "")).strip(" \t")
    return int(text) if text.isascii() and text.isdigit() else None


@schemathesis.hook
def before_call(context, case, kwargs):
    if 0 < (granted(case) or 0) < LONG_MS:
        case.headers[DEADLINE] = str(LONG_MS)


@schemathesis.check
def time_runs_out_where_none_was_granted(ctx, response, case):
    if granted(case) == 0 or response.status_code == 504:
        told = (response.status_code, response.headers.get("x-effect"))
        assert (granted(case), *told) == (0, 504, ["none"]), f"{granted(case)} ms were answered {told}"
