// methods: the handlers, one a row of the protocol's method table.
#pragma once

#include "daemon/control/call.h"

int method_job_run(struct call *call, json_t *params, json_t **ret_result);
int method_job_start(struct call *call, json_t *params, json_t **ret_result);
int method_job_wait(struct call *call, json_t *params, json_t **ret_result);
int method_job_status(struct call *call, json_t *params, json_t **ret_result);
int method_job_list(struct call *call, json_t *params, json_t **ret_result);
int method_job_kill(struct call *call, json_t *params, json_t **ret_result);
int method_job_signal(struct call *call, json_t *params, json_t **ret_result);
int method_job_output(struct call *call, json_t *params, json_t **ret_result);
int method_job_input(struct call *call, json_t *params, json_t **ret_result);
int method_job_resize(struct call *call, json_t *params, json_t **ret_result);
int method_job_update(struct call *call, json_t *params, json_t **ret_result);
int method_job_lease(struct call *call, json_t *params, json_t **ret_result);
int method_job_forget(struct call *call, json_t *params, json_t **ret_result);
int method_event_subscribe(struct call *call, json_t *params, json_t **ret_result);
int method_event_unsubscribe(struct call *call, json_t *params, json_t **ret_result);
int method_daemon_info(struct call *call, json_t *params, json_t **ret_result);
int method_daemon_stats(struct call *call, json_t *params, json_t **ret_result);
int method_daemon_reload(struct call *call, json_t *params, json_t **ret_result);
int method_daemon_reexec(struct call *call, json_t *params, json_t **ret_result);
int method_daemon_stop(struct call *call, json_t *params, json_t **ret_result);
int method_rpc_discover(struct call *call, json_t *params, json_t **ret_result);
