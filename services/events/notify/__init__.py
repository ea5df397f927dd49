"""Who is told of alarms, how often, and until it has arrived.

`notice_of` makes a `Notice` of what became of an alarm, `enqueue` queues it in the transaction that changes the alarm,
and the channels of `Notifications` tell it, each at its own pace.
"""

from services.events.notify.channel import ChannelStatus
from services.events.notify.notice import Group, Notice
from services.events.notify.notifications import Notifications
from services.events.notify.notifier import Grouping, Notifier
from services.events.notify.outbox import Failed, Outbox, enqueue
from services.events.notify.telling import notice_of

__all__ = [
    "ChannelStatus",
    "Failed",
    "Group",
    "Grouping",
    "Notice",
    "Notifications",
    "Notifier",
    "Outbox",
    "enqueue",
    "notice_of",
]
