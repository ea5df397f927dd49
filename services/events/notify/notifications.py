"""All channels of an archive: started, exchanged when the configuration is read again, and stopped together."""

from __future__ import annotations

from collections.abc import Sequence

from archiver.config import NotifySettings
from services.events.notify.channel import Channel, ChannelStatus
from services.events.notify.outbox import Outbox


class Notifications:
    """The channels, each in a thread of its own: one that is down delays no other.

    Parameters
    ----------
    outbox : Outbox
        Open; it is not closed here.

    Examples
    --------
    ::

        notifications = Notifications(outbox)
        notifications.use(settings.notify)
        with store.transaction() as connection:
            ...                               # the alarm changes
            enqueue(connection, [notice])
        notifications.wake()
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._channels: dict[str, Channel] = {}

    def use(self, settings: Sequence[NotifySettings]) -> list[str]:
        """Run just these channels: stop those that are not among them, start the new ones; return what changed.

        What a channel that is no more has not told is kept as failed.

        Raises
        ------
        ConfigurationError
            A kind is not installed; everything is as it was.
        """
        old = self._channels
        kept = {s.name: old[s.name] for s in settings if s.name in old and old[s.name].settings == s}
        fresh = {s.name: Channel(s, self._outbox) for s in settings if s.name not in kept}
        self._stop([channel for name, channel in old.items() if name not in kept])
        self._channels = kept
        self._outbox.keep_only(one.name for one in settings)
        for name, channel in fresh.items():
            channel.open()
            channel.start()
            self._channels = {**self._channels, name: channel}
        gone = [f"channel {name} removed" for name in old if name not in self._channels]
        return gone + [f"channel {name} {'changed' if name in old else 'added'}" for name in fresh]

    def wake(self) -> None:
        """Let the channels look at the queue at once, rather than within a second."""
        for channel in list(self._channels.values()):
            channel.wake()

    def status(self) -> list[ChannelStatus]:
        """Return how each channel is doing."""
        return [channel.status() for channel in list(self._channels.values())]

    def close(self) -> None:
        """Stop all channels, each after the message that it is sending; what waits is told after the next start."""
        self._stop(list(self._channels.values()))
        self._channels = {}

    def _stop(self, channels: Sequence[Channel]) -> None:
        for channel in channels:
            channel.ask_to_stop()
        for channel in channels:
            channel.join()
