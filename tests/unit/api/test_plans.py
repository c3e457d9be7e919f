from __future__ import annotations

from unittest.mock import Mock

import pytest

from replica_cli.api.errors import NotKnown, PlanGone
from replica_cli.api.plans import PLAN_SECONDS, Plans


def test_a_plan_is_used_once_and_not_after_a_few_minutes() -> None:
    now = [1000.0]
    plans = Plans(lambda: now[0])
    first, second = plans.add(Mock()), plans.add(Mock())
    assert plans.take(first.id) is first
    with pytest.raises(PlanGone):
        plans.take(first.id)
    now[0] += PLAN_SECONDS
    with pytest.raises(PlanGone, match="older than 5 minutes"):
        plans.take(second.id)
    with pytest.raises(NotKnown):
        plans.take("0123")


def test_a_client_that_only_plans_uses_little_memory() -> None:
    plans = Plans()
    made = [plans.add(Mock()) for _ in range(300)]
    for plan in made[:100]:
        with pytest.raises(NotKnown):
            plans.take(plan.id)
    with pytest.raises(PlanGone):
        plans.take(made[199].id)
    assert plans.take(made[-1].id) is made[-1]
