"""Renders blocks of a QGIS layer in a worker thread; failed network requests are errors.

QGIS draws a tile that it could not fetch as transparent and goes on, so that a map on the screen is
as good as it can be. A land-cover map would have a hole there that nobody asked for: each reply of
the network is looked at, and what fails stops the run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from qgis.core import (
    QgsNetworkAccessManager,
    QgsNetworkReplyContent,
    QgsNetworkRequestParameters,
    QgsRasterBlockFeedback,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.common.redaction import address_of
from scasnet_qgis.images.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLL_SECONDS = 0.1
PAUSES = (1.0, 4.0)  # seconds before each further try
INSET = 0.001  # pixels by which a drawing stays away from the tiles beside it
_MAX_LISTED = 5  # addresses in the detail of an error
_NO_CONTENT = 204
_TOO_MANY_REQUESTS = 429
_ACCESS_DENIED = (401, 403, 407)
_NON_IMAGE_TYPES = ("text/", "application/json", "application/xml", "application/vnd.ogc")


@dataclass
class _FailedRequest:
    """What went wrong with one request. ``status`` is HTTP's, 0 where there was no answer."""

    address: str
    status: int
    problem: str

    @property
    def is_temporary(self) -> bool:
        """Whether it is worth another try."""
        return not self.status or self.status >= 500 or self.status == _TOO_MANY_REQUESTS


@dataclass
class _RenderAttempt:
    """One try: failed requests, and the errors that QGIS itself reports."""

    failed: list[_FailedRequest] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class LayerRenderer:
    """A BlockRenderer (see images/rendered_layer.py) of one raster layer.

    To be made in the main thread, which lays the layer's own provider and renderer aside as copies;
    ``render_block`` uses those only. ``requests`` counts what went over the network.
    """

    def __init__(self, layer: QgsRasterLayer, name: str) -> None:
        """``name`` is what sentences call the layer."""
        self._name = name
        self._provider = layer.dataProvider().clone()
        self._renderer = layer.renderer().clone()
        # Opacity is for what lies below on the screen. Brightness and the like stand behind the
        # renderer and are left out with the rest of the layer.
        self._renderer.setOpacity(1.0)
        self._renderer.setInput(self._provider)
        self.requests = 0

    def render_block(self, part: Grid, progress: Progress) -> NDArray[np.uint8]:
        """See BlockRenderer. What may pass is tried again, after a pause."""
        for pause in (*PAUSES, None):
            attempt = _RenderAttempt()
            pixels = self._render(part, progress, attempt)
            progress.check()
            if pixels is not None and not attempt.failed and not attempt.errors:
                return pixels
            if pause is None or not all(failure.is_temporary for failure in attempt.failed):
                break
            _wait(pause, progress)
        raise self._error(attempt, part)

    def _render(
        self, part: Grid, progress: Progress, attempt: _RenderAttempt
    ) -> NDArray[np.uint8] | None:
        feedback = QgsRasterBlockFeedback()
        with self._network_failures(attempt), _cancel_passed_on(feedback, progress):
            # Not through a job of a map, which would bring in the screen's resolution.
            block = self._renderer.block(1, _extent(part), part.cols, part.rows, feedback)
        attempt.errors += [str(error) for error in feedback.errors()]
        if block is None or not block.isValid() or block.isEmpty():
            return None
        data = np.frombuffer(bytes(block.data()), dtype=np.uint8)
        if data.size != part.rows * part.cols * 4:
            return None
        return _unpremultiplied(data.reshape(part.rows, part.cols, 4))

    @contextmanager
    def _network_failures(self, attempt: _RenderAttempt) -> Iterator[None]:
        """Look at the replies that this thread gets meanwhile: each has a network manager."""
        timed_out_urls: set[str] = set()

        def finished(reply: Any) -> None:
            if not reply.attribute(QNetworkRequest.Attribute.SourceIsFromCacheAttribute):
                self.requests += 1
            found = _failure_of(reply)
            if found is not None:
                attempt.failed.append(found)

        def timed_out(request: Any) -> None:
            timed_out_urls.add(request.request().url().toString())

        manager = QgsNetworkAccessManager.instance()
        manager.finished[QgsNetworkReplyContent].connect(finished)
        manager.requestTimedOut[QgsNetworkRequestParameters].connect(timed_out)
        try:
            yield
        finally:
            manager.finished[QgsNetworkReplyContent].disconnect(finished)
            manager.requestTimedOut[QgsNetworkRequestParameters].disconnect(timed_out)
            for failure in attempt.failed:
                if failure.address in timed_out_urls:
                    failure.problem = "no answer in time"

    def _error(self, attempt: _RenderAttempt, part: Grid) -> InputError:
        """What will not pass by itself, or the first failure, as a sentence; all as the detail."""
        failed, errors = attempt.failed, [address_of(address) for address in attempt.errors]
        addresses = [f"{address_of(failure.address)}: {failure.problem}" for failure in failed]
        detail = "\n".join([*addresses[:_MAX_LISTED], *errors[:_MAX_LISTED]])
        first = min(failed, key=lambda failure: failure.is_temporary, default=None)
        problem: str | Message = (errors or ["no image"])[0] if first is None else first.problem
        if first is not None and first.status >= 400:
            text = translate("ScasNet", "HTTP status {status}")
            problem = message(text, status=first.status)
        x, y = part.to_map(part.rows / 2, part.cols / 2)
        where: dict[str, Any] = {"x": x, "y": y, "reference": part.reference_name}
        return InputError(_error_template(first), detail, name=self._name, problem=problem, **where)


def _error_template(first: _FailedRequest | None) -> str:
    """A template of name, x, y, reference and problem."""
    if first is None or first.is_temporary:
        return translate(
            "ScasNet",
            "The service of layer {name} returns no image near {x:.8g}, {y:.8g} in {reference} "
            "({problem}): check the connection, and run again later to resume.",
        )
    if first.status in _ACCESS_DENIED:
        return translate(
            "ScasNet",
            "The service of layer {name} denies access near {x:.8g}, {y:.8g} in {reference} "
            "({problem}): check the login or key of the layer and the terms of the service.",
        )
    if first.status < 400:
        return translate(
            "ScasNet",
            "The service of layer {name} returns no image but another type of content near "
            "{x:.8g}, {y:.8g} in {reference} ({problem}): check the layer's settings, and whether "
            "the service covers the extent.",
        )
    return translate(
        "ScasNet",
        "The service of layer {name} has no image near {x:.8g}, {y:.8g} in {reference} "
        "({problem}): choose an extent that the service covers, or a larger pixel size.",
    )


def _failure_of(reply: Any) -> _FailedRequest | None:
    """What is wrong with a reply; None for an image, and for a way to another address."""
    status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute) or 0
    address = reply.request().url().toString()
    if status >= 400 or reply.error() != QNetworkReply.NetworkError.NoError:
        return _FailedRequest(address, int(status), str(reply.errorString()))
    if not 200 <= status < 300:  # a way to another address, or no HTTP
        return None
    if status == _NO_CONTENT or bytes(reply.rawHeader(b"Content-Length")) == b"0":
        return _FailedRequest(address, int(status), "an empty answer")
    kind = bytes(reply.rawHeader(b"Content-Type")).decode("latin-1").strip().lower()
    return _FailedRequest(address, int(status), kind) if kind.startswith(_NON_IMAGE_TYPES) else None


def _extent(part: Grid) -> QgsRectangle:
    """Of a grid that is neither rotated nor south-up.

    QGIS also asks for tiles that only share an edge with the extent: it ends a little before them.
    """
    left, top = part.to_map(INSET, INSET)
    right, bottom = part.to_map(part.rows - INSET, part.cols - INSET)
    return QgsRectangle(left, bottom, right, top)


def _unpremultiplied(bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Red, green, blue, alpha [4, rows, cols] from Qt's 32-bit pixels, multiplied by alpha."""
    alpha = bgra[..., 3]
    result = np.ascontiguousarray(bgra[..., (2, 1, 0, 3)].transpose(2, 0, 1))
    partly = (alpha > 0) & (alpha < 255)
    if partly.any():
        colours = result[:3, partly].astype(np.uint16) * 255 // alpha[partly]
        result[:3, partly] = np.minimum(colours, 255)
    return result


@contextmanager
def _cancel_passed_on(feedback: QgsRasterBlockFeedback, progress: Progress) -> Iterator[None]:
    """Pass a cancel on to QGIS, which waits for the network meanwhile."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            if progress.cancelled:
                feedback.cancel()
                return

    watcher = threading.Thread(target=watch, name="scasnet-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _wait(seconds: float, progress: Progress) -> None:
    ended = threading.Event()
    for _ in range(round(seconds / POLL_SECONDS)):
        progress.check()
        ended.wait(POLL_SECONDS)
