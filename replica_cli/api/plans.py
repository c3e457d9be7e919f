"""Plans that were shown and wait for the call that confirms them: each is used once, and not after a few minutes."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from replica_cli import documents
from replica_cli.api.errors import NotKnown, PlanGone
from replica_cli.api.questions import ResetTask, TransferTask
from replica_cli.logs.formats import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.api.documents import PlanDocument

PLAN_SECONDS = 300.0
_MOST_PLANS = 100


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan that was shown; `ends_at` is a monotonic time, and `expires_at` the same in Unix seconds, to be shown."""

    id: str
    task: TransferTask | ResetTask
    ends_at: float
    expires_at: float

    @property
    def document(self) -> PlanDocument:
        """Return the plan as the client sees it: that of `--dry-run --json`."""
        task = self.task
        kind: Literal["transfer", "position-reset"]
        if isinstance(task, TransferTask):
            kind, shown = "transfer", documents.plans_document([p.shown for p in task.plans])
            return {"id": self.id, "kind": kind, "expires_at": timestamp(self.expires_at), "plan": shown}
        resets = documents.resets_document(task.plans, is_dry_run=True)
        return {"id": self.id, "kind": "position-reset", "expires_at": timestamp(self.expires_at), "plan": resets}


class Plans:
    """The plans that wait. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, StoredPlan] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()

    def add(self, task: TransferTask | ResetTask) -> StoredPlan:
        """Keep a plan until it is taken, and return it with its id."""
        plan = StoredPlan(secrets.token_hex(8), task, self._clock() + PLAN_SECONDS, time.time() + PLAN_SECONDS)
        with self._lock:
            self._waiting[plan.id] = plan
            if len(self._waiting) > _MOST_PLANS:
                self._forget(next(iter(self._waiting)))
        return plan

    def find(self, plan_id: str) -> StoredPlan:
        """Return a plan.

        Raises:
            NotKnown: there was no plan with this id.
            PlanGone: it was used, or is too old.

        """
        with self._lock:
            return self._find(plan_id)

    def take(self, plan_id: str) -> StoredPlan:
        """Return a plan, which cannot be taken again. Raises as `find`."""
        with self._lock:
            plan = self._find(plan_id)
            self._forget(plan_id)
        return plan

    def forget(self, plan_id: str) -> None:
        """Let a plan be a used one."""
        with self._lock:
            if plan_id in self._waiting:
                self._forget(plan_id)

    def _find(self, plan_id: str) -> StoredPlan:
        again = "ask for a new plan, and confirm that one"
        plan = self._waiting.get(plan_id)
        if plan is None:
            if plan_id in self._gone:
                raise PlanGone("the plan was used already, or is too old", hint=again)
            raise NotKnown("there is no plan with this id", hint=again)
        if plan.ends_at <= self._clock():
            self._forget(plan_id)
            raise PlanGone(f"the plan is older than {PLAN_SECONDS / 60:.0f} minutes", hint=again)
        return plan

    def _forget(self, plan_id: str) -> None:
        self._waiting.pop(plan_id)
        self._gone[plan_id] = None
        if len(self._gone) > _MOST_PLANS:
            self._gone.popitem(last=False)
