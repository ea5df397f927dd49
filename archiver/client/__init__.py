"""The archive from another program or a notebook, over HTTP: columns in, columns out.

::

    from archiver.client import Client

    with Client("http://127.0.0.1:8000") as archive:
        answer = archive.query("BAR:T1", "now-1h")
        print(answer.complete, answer.pandas().describe())
"""

from archiver.client.answer import Answer
from archiver.client.archive import Client, Job

__all__ = ["Answer", "Client", "Job"]
