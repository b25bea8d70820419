"""The gateway's ledger, as its admin API shows it."""

import os
import time

import httpx

ADMIN = os.environ["TEST_ADMIN"]


def ledger():
    """The ledger as it is now: rows summed by model, each a flat dictionary of counts."""
    sums = {}
    for row in httpx.get(f"{ADMIN}/v1/ledger", trust_env=False).json()["rows"]:
        of_model = sums.setdefault(row["model"], {"requests": 0, "estimated_requests": 0})
        flat = {**row["usage"], "requests": row["requests"], "estimated_requests": row["estimated_requests"]}
        flat |= {f"estimated_{name}": count for name, count in row["estimated_usage"].items()}
        for name, count in flat.items():
            of_model[name] = of_model.get(name, 0) + count
    return sums


def ledger_at_rest():
    """The ledger when it has heard of all that ended before: nodes tell it once a second."""
    last = None
    for _ in range(30):
        now = ledger()
        if now == last:
            return now
        last = now
        time.sleep(1.3)
    raise AssertionError("the ledger does not come to rest")


def ledger_since(before, model):
    """What was booked for a model since `before`, an older ledger()."""
    now, old = ledger().get(model, {}), before.get(model, {})
    return {name: count - old.get(name, 0) for name, count in now.items()}
