"""EventBridge Scheduler keeps schedules but fires none: which morning it is, the sandbox decides.

MiniStack would fire them by the machine's clock, in UTC whatever the schedule's time zone, and would pass on
`<aws.scheduler.scheduled-time>` as it stands.
"""

from __future__ import annotations

from ministack.services import scheduler


def install() -> None:
    """Keep MiniStack from starting the thread that fires schedules."""
    scheduler.start_scheduler = lambda: None
