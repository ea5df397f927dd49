"""One worker, as a process."""

from __future__ import annotations

import logging
import tempfile
from functools import partial
from pathlib import Path

import faust

from analytics.events.rules.loading import load
from analytics.events.rules.programs import program_of
from archiver.config import Settings
from archiver.model import ConfigurationError
from services.events.faust.app import Worker
from services.events.faust.credentials import unknown
from services.events.faust.metrics import serve
from services.events.faust.options import worker_options
from services.events.faust.topics import prepare


def run(settings: Settings, metrics_host: str, metrics_port: int | None) -> None:
    """Run a worker until it is told to stop (SIGTERM), or fails; never returns.

    Parameters
    ----------
    settings : Settings
        Of the archive.
    metrics_host, metrics_port : str, int or None
        Where it tells what it counts; without a port it does not.

    Raises
    ------
    ConfigurationError
        The configuration or a rule is wrong.
    TransientError
        The brokers do not answer.
    """
    options = worker_options(settings)
    if names := unknown(options.client):
        fix = "workers know nothing of it: take it out, or let the rules run in the process of the archive"
        raise ConfigurationError([f"journal.client.{name}: {fix}" for name in names])
    programs = [program_of(rule) for path in settings.events.rules for rule in load(path) if rule.enabled]
    sizes = prepare(options)
    with tempfile.TemporaryDirectory() as directory:
        worker = Worker(options, sizes, programs, Path(directory))
        if metrics_port is not None:
            worker.app.task(partial(serve, worker, metrics_host, metrics_port))
        level = logging.getLogger().getEffectiveLevel()
        faust.Worker(worker.app, loglevel=level, redirect_stdouts=False).execute_from_commandline()
