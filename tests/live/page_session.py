"""A visitor of the dashboard without a browser: speaks Streamlit's own protocol with the real web server."""

from __future__ import annotations

import http.client
import secrets
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

ANSWER_LIMIT_S = 60.0
MODEL_AND_DATA = "model_and_data"


@dataclass
class Drawn:
    """What a page drew: texts of its alerts, exceptions that came through, and its upload boxes by label."""

    alerts: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    uploaders: dict[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """What no page may show: a traceback, or the sentence that stands in its place."""
        return [*self.exceptions, *(text for text in self.alerts if "error id" in text)]


class PageSession:
    """One open tab on Model & Data."""

    def __init__(self, url: str) -> None:
        self._host = urllib.parse.urlsplit(url).netloc
        self._socket = connect(f"ws://{self._host}/_stcore/stream", subprotocols=["streamlit"], max_size=None)
        self._session_id = ""

    def close(self) -> None:
        self._socket.close()

    def draw(self, project_id: str, uploaded: Sequence[tuple[str, Any]] = ()) -> Drawn:
        """Have the page drawn for a project; `uploaded` are widget ids and what their boxes hold."""
        message = BackMsg()
        message.rerun_script.query_string = f"project={project_id}"
        message.rerun_script.page_name = MODEL_AND_DATA
        message.rerun_script.widget_states.SetInParent()
        for widget, info in uploaded:
            state = message.rerun_script.widget_states.widgets.add()
            state.id = widget
            state.file_uploader_state_value.uploaded_file_info.add().CopyFrom(info)
        self._socket.send(message.SerializeToString())
        drawn = Drawn()
        while (answer := self._answer()).script_finished != ForwardMsg.FINISHED_SUCCESSFULLY or not answer.HasField(
            "script_finished"
        ):
            self._take_in(answer, drawn)
        return drawn

    def upload(self, project_id: str, box: str, name: str, content: bytes) -> Drawn:
        """Hand a file to the page as a browser does: bytes by HTTP, then the page is drawn with the file in its box."""
        widget = self.draw(project_id).uploaders[box]
        urls = self._upload_urls(name)
        self._put(urls.upload_url, name, content)
        info = BackMsg().rerun_script.widget_states.widgets.add().file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(content), urls.file_id
        info.file_urls.CopyFrom(urls)
        return self.draw(project_id, [(widget, info)])

    def _answer(self) -> ForwardMsg:
        content = self._socket.recv(timeout=ANSWER_LIMIT_S)
        assert isinstance(content, bytes)
        return ForwardMsg.FromString(content)

    def _take_in(self, answer: ForwardMsg, drawn: Drawn) -> None:
        if answer.HasField("new_session"):
            self._session_id = answer.new_session.initialize.session_id
        if not answer.HasField("delta"):
            return
        element = answer.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "alert":
            drawn.alerts.append(element.alert.body)
        elif kind == "exception":
            drawn.exceptions.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "file_uploader":
            drawn.uploaders[element.file_uploader.label] = element.file_uploader.id

    def _upload_urls(self, name: str) -> Any:
        message = BackMsg()
        message.file_urls_request.request_id = secrets.token_hex(4)
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self._session_id
        self._socket.send(message.SerializeToString())
        while not (answer := self._answer()).HasField("file_urls_response"):
            pass
        assert not answer.file_urls_response.error_msg, answer.file_urls_response.error_msg
        return answer.file_urls_response.file_urls[0]

    def _put(self, path: str, name: str, content: bytes) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=ANSWER_LIMIT_S)
        connection.request("GET", "/_stcore/health")
        health = connection.getresponse()
        health.read()
        cookie = (health.getheader("Set-Cookie") or "").split(";")[0]
        token, boundary = cookie.partition("=")[2].strip('"'), secrets.token_hex(16)
        # As browsers write it: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
        quoted = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
        disposition = f'form-data; name="file"; filename="{quoted}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
        connection.request(
            "PUT",
            path,
            body=head.encode() + content + f"\r\n--{boundary}--\r\n".encode(),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}", "Cookie": cookie, "X-Xsrftoken": token},
        )
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert answer.status in (200, 204), (answer.status, said[:200])
