"""Work in a process of its own: what it says arrives, and its end never takes QGIS along."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scasnet_qgis import environment as dependencies
from scasnet_qgis.common.errors import (
    Cancelled,
    InputError,
    ScasNetError,
    SettingError,
    TrainingDependencyError,
    TrainingError,
)
from scasnet_qgis.common.messages import Message, message
from scasnet_qgis.qgis_ui.processing.base import sentence_of
from scasnet_qgis.qgis_ui.processing.worker_process import run_task
from scasnet_qgis.training.worker.protocol import error_of, error_parts, event_of, line_of, text_of
from tests.conftest import Recorder
from tests.real_qgis import ROOT


@pytest.fixture
def speaker(training_python, tmp_path):
    """Choose a program that speaks the protocol and then does ``code``."""

    def choose(code: str) -> Path:
        start = f"""\
            #!{sys.executable}
            import json, os, pathlib, signal, sys, time

            def say(event, **parts):
                print(json.dumps({{"event": event, **parts}}), flush=True)

            here = pathlib.Path(__file__).parent
            request = json.loads(pathlib.Path(sys.argv[5]).read_text())
            """
        program = tmp_path / "speaker"
        program.write_text(textwrap.dedent(start) + textwrap.dedent(code))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        training_python(program)
        return program

    return choose


class CancelledAfter(Recorder):
    """Cancels itself once it was told that work is under way."""

    def info(self, text: str | Message) -> None:
        super().info(text)
        self.stop = True


def _gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_the_process_says_arrives(speaker, recorder):
    speaker(
        """
        assert sys.argv[1:5] == ["-m", "scasnet_qgis.training.worker", "train", "--request"]
        print("a library prints to standard output")
        say("progress", fraction=0.25)
        say("info", template="Step {step:,} of {all}", values={"step": 1200, "all": 9})
        say("warn", template="Take {care", values={})
        say("result", values={"MODEL": request["output"], "score": 0.5})
        """
    )
    results = run_task("train", {"output": Path("/x/ä.onnx")}, recorder)
    assert results == {"MODEL": "/x/ä.onnx", "score": 0.5}
    assert recorder.fractions == [0.25]
    assert recorder.infos == ["Step 1,200 of 9"]
    assert recorder.warnings == ["Take {care"]


def test_environment_knows_the_plugin_and_nothing_of_qgis(speaker, recorder, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/opt/qgis/python")
    monkeypatch.setenv("PYTHONPATH", "/opt/qgis/plugins")
    program = speaker('say("result", values=dict(os.environ))')
    # Under that PYTHONHOME the speaker's own Python would not start at all.
    assert run_task("train", {}, recorder)["PYTHONPATH"] == str(ROOT)
    assert "PYTHONHOME" not in run_task("train", {}, recorder)
    assert program.exists()


def test_many_lines_beside_the_events_stop_nothing(speaker, recorder):
    """A pipe that nobody reads is full after 64 kB."""
    speaker(
        """
        for number in range(3000):
            print("x" * 100)
            print("y" * 100, file=sys.stderr)
        say("result", values={})
        """
    )
    assert run_task("train", {}, recorder) == {}


def test_error_of_the_process_is_raised_again(speaker, recorder):
    given = InputError("{name} has {count:,} bands.", "the detail", name="a.tif", count=1500)
    speaker(f"say('error', **json.loads({json.dumps(error_parts(given))!r}))")
    with pytest.raises(InputError, match=r"a\.tif.*1,500") as caught:
        run_task("train", {}, recorder)
    assert caught.value.detail == "the detail"
    assert caught.value.message == given.message


def test_texts_survive_the_way_through_a_line():
    inner = message("all {n}", n=7)
    error = TrainingError("{count} of {whole} in {path}", count=3, whole=inner, path=Path("/a"))
    event = event_of(line_of("error", **error_parts(error)))
    assert event is not None
    back = error_of(event)
    assert type(back) is TrainingError
    assert back.sentence == "3 of all 7 in /a"
    assert back.message.values["whole"] == inner
    assert isinstance(error_of({"kind": "Cancelled"}), Cancelled)
    assert type(error_of({"kind": "Message", "template": "odd"})) is TrainingError


@pytest.mark.parametrize("line", ["", "Epoch 3", "{", "[1]", '{"step": 1}', '{"event": 3}'])
def test_line_that_is_no_event_is_none(line):
    assert event_of(line) is None


def test_text_of_an_event_without_values_is_its_template():
    assert str(text_of({"template": "50 {percent"})) == "50 {percent"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("print('the last words', file=sys.stderr); sys.exit(3)", "exit status 3"),
    ],
)
def test_process_that_dies_is_one_sentence_that_says_how_to_go_on(speaker, recorder, code, reason):
    speaker(f"say('progress', fraction=0.1)\n{code}")
    with pytest.raises(TrainingError) as caught:
        run_task("train", {}, recorder)
    sentence = caught.value.sentence
    assert reason in sentence
    assert ("the last words" in caught.value.detail) == (reason == "exit status 3")


def test_cancel_asks_and_takes_what_the_process_still_gives(speaker):
    speaker(
        """
        say("info", template="under way")
        assert sys.stdin.readline() == "cancel\\n"
        say("result", values={"MODEL": "best.onnx"})
        """
    )
    assert run_task("train", {}, CancelledAfter()) == {"MODEL": "best.onnx"}


def test_cancelled_task_without_a_result_is_a_cancelled_run(speaker):
    speaker("say('info', template='under way'); sys.stdin.read(); sys.exit(1)")
    with pytest.raises(Cancelled):
        run_task("train", {}, CancelledAfter())


def test_process_that_does_not_listen_is_ended(speaker, tmp_path):
    speaker(
        """
        (here / "process").write_text(str(os.getpid()))
        say("info", template="under way")
        while True:
            time.sleep(1)
        """
    )
    progress = CancelledAfter()
    with pytest.raises(Cancelled):
        run_task("train", {}, progress, grace_seconds=0.3)
    assert _gone(int((tmp_path / "process").read_text()))
    assert len(progress.warnings) == 1


def test_result_counts_even_if_the_process_hangs_afterwards(speaker, recorder):
    speaker("say('result', values={'a': 1}); time.sleep(1000)")
    assert run_task("train", {}, recorder, grace_seconds=0.3) == {"a": 1}


def test_process_that_leaves_another_one_behind_is_not_waited_for(speaker, recorder, tmp_path):
    """That one holds the streams open."""
    speaker(
        """
        child = os.fork()
        if not child:
            time.sleep(1000)
        (here / "left").write_text(str(child))
        say("result", values={"a": 1})
        """
    )
    assert run_task("train", {}, recorder) == {"a": 1}
    left = int((tmp_path / "left").read_text())
    assert not _gone(left)
    os.kill(left, signal.SIGKILL)


def test_error_in_the_log_ends_the_process_too(speaker, tmp_path):
    class Broken(Recorder):
        def info(self, text: str | Message) -> None:
            raise KeyError(str(text))

    speaker(
        """
        (here / "process").write_text(str(os.getpid()))
        say("info", template="under way")
        time.sleep(1000)
        """
    )
    with pytest.raises(KeyError):
        run_task("train", {}, Broken())
    assert _gone(int((tmp_path / "process").read_text()))


@pytest.mark.parametrize("path", ["/nowhere/python3", "/bin/false"])
def test_interpreter_that_cannot_run_gives_the_commands(training_python, recorder, path):
    training_python(path)
    with pytest.raises(TrainingDependencyError) as caught:
        run_task("train", {}, recorder)
    sentence = sentence_of(caught.value)
    assert path in sentence
    assert all(command in sentence for command in dependencies.training_commands())


@pytest.mark.parametrize(("task", "package"), [("train", "PyTorch"), ("export", "onnx")])
def test_interpreter_without_a_package_gives_the_commands(training_python, recorder, task, package):
    """A real one: the distribution's own Python has GDAL and numpy, but no PyTorch, no onnx."""
    training_python("/usr/bin/python3")
    with pytest.raises(
        TrainingDependencyError, match=rf"/usr/bin/python3.*\b{package}\b"
    ) as caught:
        run_task(task, {}, recorder)
    sentence = sentence_of(caught.value)
    assert all(command in sentence for command in dependencies.training_commands())
    assert "ScasNet: " in sentence


@pytest.mark.parametrize("task", ["train", "export"])
def test_bad_request_of_a_real_task_is_a_sentence(training_python, recorder, task):
    training_python(sys.executable)
    with pytest.raises(ScasNetError) as caught:
        run_task(task, {"nonsense": 1}, recorder)
    assert caught.value.sentence
    assert "Traceback" not in caught.value.sentence


def _start(*arguments: str, **streams) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scasnet_qgis.training.worker", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, **streams)


def test_command_line_tells_a_person_what_is_wrong(tmp_path):
    (tmp_path / "list.json").write_text("[1]")
    run = _start(
        "train",
        "--request",
        str(tmp_path / "list.json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert out == ""
    assert err.strip().endswith("it must be a JSON object.")


def test_child_tells_the_same_as_an_event(tmp_path):
    run = _start(
        "train",
        "--request",
        str(tmp_path / "none.json"),
        "--child",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    start, error = map(event_of, out.splitlines())
    assert start is not None
    assert start["event"] == "start"
    assert error is not None
    assert isinstance(error_of(error), SettingError)


LISTENER = """
import sys, time
from scasnet_qgis.training.worker import tasks, worker

def wait(request, progress):
    print("printed by a library")
    progress.info("waiting")
    while not progress.cancelled:
        time.sleep(0.05)
    return {"ended": True}

tasks.TASKS["wait"] = "__main__:wait"
sys.exit(worker.serve("wait", __import__("pathlib").Path(sys.argv[1])))
"""


@pytest.mark.parametrize("message", ["cancel\n", ""], ids=["a line", "the end of the stream"])
def test_child_ends_when_it_is_asked_to_or_left_alone(tmp_path, message):
    (tmp_path / "request.json").write_text("{}")
    run = subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(tmp_path / "request.json")],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdout is not None
    assert "start" in run.stdout.readline()
    assert "waiting" in run.stdout.readline()
    out, err = run.communicate(message, timeout=60)
    assert event_of(out) == {"event": "result", "values": {"ended": True}}
    assert "printed by a library" in err
    assert run.returncode == 0
