"""What must hold in every job record, beyond its schema: the fields belong together in certain ways."""

JOB = {"id", "name", "labels", "owner", "argv", "cwd", "group", "state", "pid", "attempt", "ready", "created_at",
       "started_at", "ended_at", "elapsed", "deadlines", "result", "stdout", "stderr"}
RESULT = {"reason", "exit_code", "signal", "core_dumped", "timed_out", "error", "killed_by", "usage", "survivors",
          "incomplete"}
USAGE = {"user", "system", "read_bytes", "written_bytes", "memory_peak_bytes", "max_rss_bytes", "minor_faults",
         "major_faults", "voluntary_switches", "involuntary_switches", "source"}
DEADLINES = {"timeout", "idle_timeout", "cpu_timeout", "queue_timeout"}
STREAM = {"bytes", "gaps", "eof"}
STATES = {"queued", "starting", "running", "stopping", "final"}
REASONS = {"exited", "signaled", "timeout", "idle_timeout", "cpu_timeout", "queue_timeout", "output_limit", "oom",
           "killed", "spawn_failed", "skipped", "lost"}
STAGES = {"resources", "identity", "limits", "cwd", "stdio", "exec"}


def need(record, names, what):
    missing = names - set(record)
    assert not missing, f"{what} lacks {sorted(missing)}: {record}"


def check_stream(stream, what):
    need(stream, STREAM, what)
    assert ("data" in stream) == ("encoding" in stream), f"{what}: data and encoding come together: {stream}"
    at = 0
    for start, end in stream["gaps"]:
        assert at <= start < end <= stream["bytes"], f"{what}: gaps are ordered, apart and within: {stream}"
        at = end
    if "data" not in stream:
        assert "cut" not in stream, f"{what}: a cut without data"


def check_result(result):
    need(result, RESULT, "result")
    reason = result["reason"]
    assert reason in REASONS, f"reason {reason}"
    assert result["timed_out"] == reason.endswith("timeout"), f"timed_out and reason {reason} disagree"
    if result["usage"] is not None:
        need(result["usage"], USAGE, "usage")
    if reason == "exited":
        assert isinstance(result["exit_code"], int) and result["signal"] is None, result
    if reason == "signaled":
        assert result["exit_code"] is None and result["signal"].startswith("SIG"), result
    assert result["exit_code"] is None or result["signal"] is None, f"exited and signaled at once: {result}"
    assert (result["killed_by"] is not None) == (reason == "killed"), f"killed_by and reason: {result}"
    if result["killed_by"] is not None:
        need(result["killed_by"], {"by", "uid"}, "killed_by")
        assert result["killed_by"]["by"] in {"client", "lease", "daemon"}, result
    assert (result["error"] is not None) == (reason == "spawn_failed"), f"error and reason: {result}"
    if result["error"] is not None:
        need(result["error"], {"stage", "errno", "message"}, "error")
        assert result["error"]["stage"] in STAGES, result
        assert result["error"]["errno"].startswith("E"), result


def check_job(job):
    """Raises AssertionError where the record contradicts itself or lacks a field."""
    need(job, JOB, "job")
    need(job["owner"], {"uid", "user"}, "owner")
    need(job["deadlines"], DEADLINES, "deadlines")
    assert job["state"] in STATES, job["state"]
    assert job["argv"], "argv is empty"
    final = job["state"] == "final"
    assert (job["result"] is not None) == final, f"a result exactly when final: {job['state']} {job['result']}"
    assert (job["ended_at"] is not None) == final, f"ended_at exactly when final: {job}"
    if final:
        check_result(job["result"])
        if job["result"]["reason"] == "spawn_failed":
            assert job["pid"] is None and job["started_at"] is None, f"spawn_failed has no pid: {job}"
    if job["state"] in ("running", "stopping"):
        assert job["pid"] > 0 and job["started_at"] is not None, f"a running job has a pid: {job}"
    if job["started_at"] is not None:
        assert job["created_at"] <= job["started_at"] + 0.001, f"created before started: {job}"
        if job["ended_at"] is not None:
            assert job["started_at"] <= job["ended_at"] + 0.001, f"started before ended: {job}"
    for name in ("stdout", "stderr"):
        check_stream(job[name], name)


def check_all(value):
    """Checks every job record within an answer."""
    if isinstance(value, dict):
        if "openrpc" in value:
            return  # it describes records and is none
        if "deadlines" in value and "state" in value:
            check_job(value)
            return
        for member in value.values():
            check_all(member)
    elif isinstance(value, list):
        for member in value:
            check_all(member)
